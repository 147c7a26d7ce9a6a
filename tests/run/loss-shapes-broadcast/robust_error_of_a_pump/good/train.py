"""Pressure of a pump from what its sensors measured. Outliers count less: Huber's loss, written out."""

import torch
from torch import nn


def measured(count):
    signals = torch.rand(count, 6) * 2 - 1
    pressure = signals[:, 0] * 2 - signals[:, 3] + 0.3 * signals[:, 5].sin()
    broken = torch.rand(count) < 0.05
    return signals, torch.where(broken, pressure + 8, pressure)


class Robust(nn.Module):
    def __init__(self, delta=1.0):
        super().__init__()
        self.delta = delta

    def forward(self, given, wanted):
        error = given - wanted
        size = error.abs()
        near = 0.5 * error * error
        far = self.delta * (size - 0.5 * self.delta)
        return torch.where(size < self.delta, near, far).mean()


class Pump(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 20)
        self.drop = nn.Dropout(0.1)
        self.last = nn.Linear(20, 1)

    def forward(self, signals):
        return self.last(self.drop(torch.tanh(self.first(signals))))


def run_epoch(model, criterion, optimizer, signals, pressure):
    order = torch.randperm(len(signals))
    total = 0.0
    for start in range(0, len(signals), 40):
        chosen = order[start : start + 40]
        wanted = pressure[chosen]
        optimizer.zero_grad()
        loss = criterion(model(signals[chosen]).squeeze(1), wanted)
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total


def main():
    torch.manual_seed(11)
    signals, pressure = measured(200)
    model, criterion = Pump(), Robust()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for epoch in range(4):
        print(epoch, round(run_epoch(model, criterion, optimizer, signals, pressure), 3))


main()
