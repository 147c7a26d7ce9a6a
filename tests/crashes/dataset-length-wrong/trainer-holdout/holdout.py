"""Breast cancer classifier with a hold-out part, all in one Trainer."""

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from torch import nn
from torch.utils.data import DataLoader, Dataset


class CancerPart(Dataset):
    """The first `cut` shuffled patients train the model, the remaining ones check it."""

    def __init__(self, training, cut=400, seed=1):
        bunch = load_breast_cancer()
        order = np.random.default_rng(seed).permutation(len(bunch.target))
        self.total = len(order)
        self.cut = cut
        self.training = training
        chosen = order[:cut] if training else order[cut:]
        mean = bunch.data[order[:cut]].mean(axis=0)
        std = bunch.data[order[:cut]].std(axis=0)
        self.inputs = ((bunch.data[chosen] - mean) / std).astype(np.float32)
        self.targets = bunch.target[chosen].astype(np.float32)

    def __len__(self):
        return self.cut if self.training else self.total

    def __getitem__(self, idx):
        return self.inputs[idx], self.targets[idx]


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, x):
        return x + self.inner(x)


class Trainer:
    def __init__(self, epochs=3, batch_size=40):
        self.epochs = epochs
        self.train_loader = DataLoader(CancerPart(True), batch_size=batch_size, shuffle=True)
        self.valid_loader = DataLoader(CancerPart(False), batch_size=batch_size)
        self.model = nn.Sequential(nn.Linear(30, 16), Residual(16), Residual(16), nn.Linear(16, 1))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        self.criterion = nn.BCEWithLogitsLoss()

    def _train_epoch(self):
        self.model.train()
        for inputs, targets in self.train_loader:
            self.optimizer.zero_grad()
            loss = self.criterion(self.model(inputs).squeeze(1), targets)
            loss.backward()
            self.optimizer.step()
        return loss.item()

    @torch.no_grad()
    def _validate(self):
        self.model.eval()
        right = 0
        count = 0
        for inputs, targets in self.valid_loader:
            predicted = self.model(inputs).squeeze(1) > 0
            right += (predicted == targets.bool()).sum().item()
            count += len(targets)
        return right / count

    def fit(self):
        for epoch in range(1, self.epochs + 1):
            loss = self._train_epoch()
            print(f"epoch {epoch}: last loss {loss:.4f}")
            accuracy = self._validate()
            print(f"epoch {epoch}: hold-out accuracy {accuracy:.3f}")


if __name__ == "__main__":
    torch.manual_seed(2024)
    Trainer().fit()
