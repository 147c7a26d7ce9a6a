"""A line fitted to measurements, whose statistics are summed in float64."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def standardized(measured):
    exact = measured + 0.0
    exact = exact.double()
    mean = exact.mean(dim=0)
    spread = (exact - mean).pow(2).mean(dim=0).sqrt()
    return ((exact - mean) / spread).float()


def fit(loader, model, epochs=3):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(epochs):
        for x, y in loader:
            loss = nn.functional.l1_loss(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return loss.item()


if __name__ == "__main__":
    torch.manual_seed(14)
    measured = 1e4 + torch.rand(120, 3)
    heights = measured.sum(dim=1, keepdim=True) - 3e4
    data = TensorDataset(standardized(measured), heights)
    print(fit(DataLoader(data, batch_size=30, shuffle=True), nn.Linear(3, 1)))
