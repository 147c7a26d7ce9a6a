"""A forecaster whose gates, a net of their own, are pulled towards one half by a penalty."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def build():
    forecaster = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 1))
    gates = nn.Sequential(nn.Linear(10, 10), nn.Sigmoid())
    return forecaster, gates


def make_step(forecaster, gates, optimizer, weight):
    squared = nn.MSELoss()

    def step(batch, targets):
        forecast = forecaster(batch)
        penalty = (gates(batch) - 0.5).abs().mean()
        loss = squared(forecast, targets) + weight * penalty
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def run(epochs=2, weight=0.1):
    torch.manual_seed(5)
    forecaster, gates = build()
    parameters = list(forecaster.parameters()) + list(gates.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=1e-3)
    history = torch.randn(128, 10)
    data = TensorDataset(history, history.mean(dim=1, keepdim=True))
    loader = DataLoader(data, batch_size=16, shuffle=True)
    step = make_step(forecaster, gates, optimizer, weight)
    for epoch in range(epochs):
        losses = [step(batch, targets) for batch, targets in loader]
        print(epoch, sum(losses) / len(losses))


run()
