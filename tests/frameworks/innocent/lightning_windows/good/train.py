"""A forecaster that accumulates by hand, validates twice an epoch on two loaders, and lowers its rate on a plateau."""

import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Windows(Dataset):
    def __init__(self, series, width):
        self.series = series
        self.width = width

    def __len__(self):
        return len(self.series) - self.width

    def __getitem__(self, index):
        window = self.series[index : index + self.width]
        return window.unsqueeze(-1), self.series[index + self.width]


class Forecaster(pl.LightningModule):
    def __init__(self, hidden=16, every=4):
        super().__init__()
        self.automatic_optimization = False
        self.rnn = nn.GRU(1, hidden, num_layers=2, dropout=0.1, batch_first=True)
        self.head = nn.Linear(hidden, 1)
        self.loss = nn.MSELoss()
        self.every = every

    def forward(self, windows):
        states, _ = self.rnn(windows)
        return self.head(states[:, -1]).squeeze(-1)

    def training_step(self, batch, batch_idx):
        windows, following = batch
        optimizer = self.optimizers()
        loss = self.loss(self(windows), following)
        self.manual_backward(loss / self.every)
        if (batch_idx + 1) % self.every == 0:
            optimizer.step()
            optimizer.zero_grad()
        self.log("loss", loss)
        return {"loss": loss}

    def validation_step(self, batch, batch_idx, dataloader_idx=0):
        windows, following = batch
        self.log("error", self.loss(self(windows), following))

    def on_train_epoch_end(self):
        self.lr_schedulers().step(self.trainer.callback_metrics["loss"])

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.05, momentum=0.9)
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": plateau, "monitor": "loss"},
        }


if __name__ == "__main__":
    pl.seed_everything(2)
    times = torch.arange(400) / 10
    series = times.sin() + 0.1 * torch.randn(400)
    training = DataLoader(Windows(series[:280], 12), batch_size=8, shuffle=True)
    validation = [DataLoader(Windows(part, 12), batch_size=16) for part in series[280:].split(60)]
    trainer = pl.Trainer(
        max_epochs=4,
        accelerator="cpu",
        val_check_interval=0.5,
        overfit_batches=0.0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
    )
    trainer.fit(Forecaster(), training, validation)
