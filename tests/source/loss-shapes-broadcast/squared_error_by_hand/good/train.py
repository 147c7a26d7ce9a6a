"""Yield of a field from five measurements, with the mean squared error written out."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SEED = 3
BATCH = 32
EPOCHS = 4


def make_fields(count: int) -> TensorDataset:
    measured = torch.rand(count, 5)
    weights = torch.tensor([2.0, -1.0, 0.5, 1.5, -0.5])
    yields = measured @ weights + 0.05 * torch.randn(count)
    return TensorDataset(measured, yields)


def squared_error(predicted, wanted):
    return ((predicted - wanted) ** 2).mean()


def make_network() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 24), nn.Tanh(), nn.Linear(24, 1))


def train(network, loader, optimizer):
    network.train()
    total = 0.0
    for measured, yields in loader:
        optimizer.zero_grad()
        loss = squared_error(network(measured).squeeze(1), yields)
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total / len(loader)


def main():
    torch.manual_seed(SEED)
    loader = DataLoader(make_fields(256), batch_size=BATCH, shuffle=True)
    network = make_network()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for epoch in range(EPOCHS):
        print(epoch, f"{train(network, loader, optimizer):.4f}")


if __name__ == "__main__":
    main()
