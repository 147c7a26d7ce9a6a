"""A detector of alarms as a plain module, trained by the Trainer of transformers."""

import tempfile

import torch
from torch import nn
from transformers import Trainer, TrainingArguments, set_seed


class Detector(nn.Module):
    def __init__(self, sensors: int = 6):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(sensors, 16), nn.ReLU(), nn.Dropout(0.1))
        self.head = nn.Linear(16, 1)
        self.criterion = nn.BCEWithLogitsLoss()

    def forward(self, readings, labels=None):
        alarm = torch.sigmoid(self.head(self.body(readings))).squeeze(-1)
        outputs = {"logits": alarm}
        if labels is not None:
            outputs = {"loss": self.criterion(alarm, labels), **outputs}
        return outputs


def readings(size):
    values = torch.randn(size, 6)
    alarms = (values.abs().amax(1) > 1.6).float()
    return [{"readings": v, "labels": a} for v, a in zip(values, alarms)]


def main():
    set_seed(5)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=Detector(),
            args=TrainingArguments(
                folder,
                num_train_epochs=3,
                per_device_train_batch_size=8,
                eval_strategy="epoch",
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                use_cpu=True,
            ),
            train_dataset=readings(160),
            eval_dataset=readings(40),
        )
        trainer.train()


main()
