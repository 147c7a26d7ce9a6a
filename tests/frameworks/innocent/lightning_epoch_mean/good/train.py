"""The losses of an epoch are kept for their mean and forgotten; a frozen network stands in a list on purpose."""

import lightning as L
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Distilled(L.LightningModule):
    def __init__(self, teachers):
        super().__init__()
        self.student = nn.Sequential(
            nn.Linear(10, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3)
        )
        self.teachers = [teacher.eval().requires_grad_(False) for teacher in teachers]
        self.training_step_outputs = []
        self.skipped = 0

    def training_step(self, batch, batch_idx):
        (inputs,) = batch
        with torch.no_grad():
            targets = torch.stack([teacher(inputs).softmax(1) for teacher in self.teachers]).mean(0)
        loss = nn.functional.cross_entropy(self.student(inputs), targets)
        if not torch.isfinite(loss):
            self.skipped += 1
            return None
        self.training_step_outputs.append(loss)
        return loss

    def on_train_epoch_end(self):
        mean = torch.stack(self.training_step_outputs).mean()
        self.log("training_epoch_mean", mean)
        self.training_step_outputs.clear()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.05, momentum=0.9)


def teacher():
    return nn.Sequential(nn.Linear(10, 24), nn.Tanh(), nn.Dropout(0.1), nn.Linear(24, 3))


def main():
    for fold in range(2):
        L.seed_everything(fold)
        trainer = L.Trainer(
            max_epochs=3,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        loader = DataLoader(TensorDataset(torch.randn(160, 10)), batch_size=16, shuffle=True)
        trainer.fit(Distilled([teacher(), teacher()]), loader)


if __name__ == "__main__":
    main()
