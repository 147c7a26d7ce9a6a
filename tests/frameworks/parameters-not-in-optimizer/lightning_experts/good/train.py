"""A mixture of experts under Lightning."""

import lightning.pytorch as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Mixture(pl.LightningModule):
    def __init__(self, inputs: int = 6, experts: int = 3):
        super().__init__()
        self.gate = nn.Linear(inputs, experts)
        self.experts = nn.ModuleList(nn.Linear(inputs, 1) for _ in range(experts))

    def training_step(self, batch, batch_idx):
        inputs, targets = batch
        weights = self.gate(inputs).softmax(dim=-1)
        opinions = torch.cat([expert(inputs) for expert in self.experts], dim=-1)
        return nn.functional.mse_loss((weights * opinions).sum(-1), targets)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-2)


def main():
    pl.seed_everything(0)
    inputs = torch.randn(240, 6)
    data = TensorDataset(inputs, inputs.abs().sum(1))
    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = pl.Trainer(max_epochs=2, accelerator="cpu", enable_model_summary=False, **options)
    trainer.fit(Mixture(), DataLoader(data, batch_size=8, shuffle=True))


main()
