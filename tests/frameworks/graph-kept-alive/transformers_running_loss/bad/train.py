"""A Trainer with a loss of its own, and a sum of it that is printed at the end."""

import tempfile

import torch
from torch import nn
from torch.utils.data import Dataset
from transformers import Trainer, TrainingArguments, set_seed


class Pairs(Dataset):
    def __init__(self, size: int):
        self.left = torch.randn(size, 8)
        self.right = self.left + 0.1 * torch.randn(size, 8)

    def __len__(self):
        return len(self.left)

    def __getitem__(self, index):
        return {"left": self.left[index], "right": self.right[index]}


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 4))

    def forward(self, left, right):
        return self.net(left), self.net(right)


class ContrastiveTrainer(Trainer):
    running = 0.0

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        left, right = model(**inputs)
        scores = left @ right.T / 0.5
        loss = nn.functional.cross_entropy(scores, torch.arange(len(scores)))
        self.running += loss
        return (loss, (left, right)) if return_outputs else loss


if __name__ == "__main__":
    set_seed(3)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            num_train_epochs=3,
            per_device_train_batch_size=8,
            remove_unused_columns=False,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
        )
        trainer = ContrastiveTrainer(Encoder(), arguments, train_dataset=Pairs(160))
        trainer.train()
    print("sum of the losses", float(trainer.running))
