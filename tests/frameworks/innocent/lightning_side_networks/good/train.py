"""Networks that are kept in plain lists on purpose: frozen blocks of a perceptual loss, and an average of the weights."""

import copy

import lightning as L
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class PerceptualLoss(nn.Module):
    def __init__(self):
        super().__init__()
        body = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh())
        self.blocks = [body[:2], body[2:]]
        for block in self.blocks:
            block.eval()
            for parameter in block.parameters():
                parameter.requires_grad = False

    def forward(self, one, other):
        loss = 0.0
        for block in self.blocks:
            one, other = block(one), block(other)
            loss = loss + (one - other).abs().mean()
        return loss


class AutoEncoder(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 3), nn.Tanh(), nn.Linear(3, 8))
        self.perceptual = PerceptualLoss()
        self.average = [copy.deepcopy(self.net)]
        self.curves = {"train": [], "val": []}
        self.latest = None

    def training_step(self, batch, batch_idx):
        (inputs,) = batch
        outputs = self.net(inputs)
        smooth = self.average[0](inputs).detach()
        loss = self.perceptual(outputs, inputs) + 0.1 * (outputs - smooth).pow(2).mean()
        self.curves["train"].append(loss.item())
        self.latest = loss
        self.log("loss", loss, on_step=True, on_epoch=True)
        return loss

    def on_train_batch_end(self, outputs, batch, batch_idx):
        with torch.no_grad():
            pairs = zip(self.average[0].parameters(), self.net.parameters(), strict=True)
            for average, current in pairs:
                average.lerp_(current, 0.1)

    def validation_step(self, batch, batch_idx):
        (inputs,) = batch
        self.curves["val"].append((self.net(inputs) - inputs).pow(2).mean())

    def configure_optimizers(self):
        return torch.optim.Adam(self.net.parameters(), lr=1e-2)


class Adapter(nn.Module):
    """A frozen layer and a small correction of it."""

    def __init__(self, base, rank=2):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.down = nn.Parameter(torch.randn(rank, base.in_features) * 0.1)
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, inputs):
        return self.base(inputs) + inputs @ self.down.T @ self.up.T


class Adapted(L.LightningModule):
    def __init__(self):
        super().__init__()
        body = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU())
        self.body = body.requires_grad_(False)
        self.head = Adapter(nn.Linear(16, 3))

    def on_train_epoch_start(self):
        self.body.eval()

    def training_step(self, batch, batch_idx):
        (inputs,) = batch
        with torch.no_grad():
            features = self.body(inputs)
        return nn.functional.cross_entropy(self.head(features), inputs[:, :3].argmax(1))

    def validation_step(self, batch, batch_idx):
        (inputs,) = batch
        scores = self.head(self.body(inputs))
        self.log("accuracy", (scores.argmax(1) == inputs[:, :3].argmax(1)).float().mean())

    def configure_optimizers(self):
        return torch.optim.AdamW([p for p in self.parameters() if p.requires_grad], lr=1e-2)


def main():
    L.seed_everything(1)
    data = TensorDataset(torch.randn(160, 8))
    for model in (AutoEncoder(), Adapted()):
        trainer = L.Trainer(
            max_epochs=3,
            accelerator="cpu",
            num_sanity_val_steps=0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        training = DataLoader(data, batch_size=16, shuffle=True)
        trainer.fit(model, training, DataLoader(data, batch_size=40))


if __name__ == "__main__":
    main()
