"""Ratios, learned in the logarithm."""

import lightning as L
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Ratios(nn.Module):
    def __init__(self):
        super().__init__()
        self.upper = nn.Linear(4, 8)
        self.lower = nn.Linear(4, 8)

    def forward(self, inputs):
        upper = self.upper(inputs).mean(dim=1)
        lower = self.lower(inputs).mean(dim=1)
        return torch.log(upper) - torch.log(lower)


class Learner(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.ratios = Ratios()

    def training_step(self, batch, batch_idx):
        inputs, targets = batch
        return nn.functional.mse_loss(self.ratios(inputs), targets)

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=1e-3)


def main():
    L.seed_everything(9)
    inputs = torch.rand(160, 4)
    targets = (inputs[:, 0] + 1).log() - (inputs[:, 1] + 1).log()
    trainer = L.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Learner(), DataLoader(TensorDataset(inputs, targets), batch_size=8, shuffle=True))


if __name__ == "__main__":
    main()
