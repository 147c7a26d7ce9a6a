"""Looks for a learning rate, then trains with L-BFGS, then by a loop of one's own on Fabric."""

import tempfile

import lightning as L
import torch
from lightning.pytorch.tuner import Tuner
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Regressor(L.LightningModule):
    def __init__(self, lr=1e-3, kind="adam"):
        super().__init__()
        self.lr = lr
        self.kind = kind
        self.net = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 1))

    def training_step(self, batch, batch_idx):
        inputs, targets = batch
        return nn.functional.mse_loss(self.net(inputs), targets)

    def configure_optimizers(self):
        if self.kind == "lbfgs":
            return torch.optim.LBFGS(self.parameters(), lr=0.1, max_iter=5)
        return torch.optim.Adam(self.parameters(), lr=self.lr)


def trainer(**options):
    return L.Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )


def by_hand(loader, validation):
    fabric = L.Fabric(accelerator="cpu", precision="bf16-mixed")
    fabric.launch()
    model = nn.Sequential(nn.Linear(6, 16), nn.Dropout(0.1), nn.Tanh(), nn.Linear(16, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    model, optimizer = fabric.setup(model, optimizer)
    loader, validation = fabric.setup_dataloaders(loader, validation)
    for epoch in range(3):
        model.train()
        for index, (inputs, targets) in enumerate(loader):
            is_accumulating = index % 2 == 0
            with fabric.no_backward_sync(model, enabled=is_accumulating):
                loss = nn.functional.mse_loss(model(inputs), targets)
                fabric.backward(loss / 2)
            if not is_accumulating:
                fabric.clip_gradients(model, optimizer, max_norm=1.0)
                optimizer.step()
                optimizer.zero_grad()
        model.eval()
        with torch.no_grad():
            losses = [nn.functional.mse_loss(model(x), y) for x, y in validation]
        print(epoch, torch.stack(losses).mean().item())


def train(folder):
    L.seed_everything(5)
    inputs = torch.randn(192, 6)
    targets = inputs.sum(1, keepdim=True).sin()
    data = TensorDataset(inputs, targets)
    loader = DataLoader(data, 16, shuffle=True)
    model = Regressor()
    finder = trainer(max_epochs=3, default_root_dir=folder)
    Tuner(finder).lr_find(model, loader, num_training=40)
    finder.fit(model, loader)
    trainer(max_epochs=3, enable_checkpointing=False).fit(Regressor(kind="lbfgs"), loader)
    by_hand(loader, DataLoader(data, 32))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        train(folder)
