import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Species(pl.LightningModule):
    """Three species from four lengths."""

    def __init__(self, lr=0.01):
        super().__init__()
        self.save_hyperparameters()
        self.layers = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))

    def forward(self, lengths):
        return F.softmax(self.layers(lengths), dim=1)

    def _loss(self, batch, name):
        lengths, species = batch
        loss = F.cross_entropy(self(lengths), species)
        self.log(f"{name}_loss", loss)
        return loss

    def training_step(self, batch, batch_idx):
        return self._loss(batch, "train")

    def validation_step(self, batch, batch_idx):
        self._loss(batch, "val")

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.hparams.lr)


pl.seed_everything(11)
centres = torch.tensor([[5.0, 3.4, 1.5, 0.2], [5.9, 2.8, 4.3, 1.3], [6.6, 3.0, 5.6, 2.0]])
species = torch.arange(150) % 3
lengths = centres[species] + 0.3 * torch.randn(150, 4)
training = DataLoader(TensorDataset(lengths[:120], species[:120]), batch_size=8, shuffle=True)
validation = DataLoader(TensorDataset(lengths[120:], species[120:]), batch_size=15)
trainer = pl.Trainer(
    max_epochs=3,
    accelerator="cpu",
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
)
trainer.fit(Species(), training, validation)
