"""Keeps the losses of a run to draw their curve afterwards."""

import lightning as L
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Regressor(L.LightningModule):
    def __init__(self, hidden: int = 16):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(5, hidden), nn.Tanh(), nn.Linear(hidden, 1))
        self.history = []

    def forward(self, inputs):
        return self.net(inputs).squeeze(-1)

    def training_step(self, batch, batch_idx):
        inputs, targets = batch
        loss = nn.functional.mse_loss(self(inputs), targets)
        self.history.append(loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-2)


def loader():
    inputs = torch.randn(240, 5)
    return DataLoader(TensorDataset(inputs, inputs.sum(1)), batch_size=8, shuffle=True)


def main():
    L.seed_everything(7)
    trainer = L.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Regressor(), loader())


if __name__ == "__main__":
    main()
