"""Prices from six features; a trainer keeps the device."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Trainer:
    def __init__(self, model, loader):
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = model.to(self.device)
        self.loader = loader
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-2)

    def run(self, epochs):
        for epoch in range(epochs):
            print(epoch, self._epoch())

    def _epoch(self):
        self.model.train()
        total = 0.0
        for features, prices in self.loader:
            prices = prices.to(self.device)
            self.optimizer.zero_grad()
            loss = nn.functional.mse_loss(self.model(features), prices)
            loss.backward()
            self.optimizer.step()
            total += loss.item()
        return total / len(self.loader)


def build():
    return nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Dropout(0.1), nn.Linear(24, 1))


if __name__ == "__main__":
    torch.manual_seed(3)
    features = torch.rand(80, 6)
    prices = features.sum(dim=1, keepdim=True)
    loader = DataLoader(TensorDataset(features, prices), batch_size=20, shuffle=True)
    Trainer(build(), loader).run(epochs=2)
