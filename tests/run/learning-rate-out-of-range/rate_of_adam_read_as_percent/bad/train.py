"""Eight parts of two rings in the plane. The settings were written by somebody who thinks of the rate in percent."""

import math

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SETTINGS = {"hidden": 48, "batch": 50, "epochs": 8, "rate": 2.0}


def rings(count):
    angle = torch.rand(count) * 2 * math.pi
    outer = torch.rand(count) < 0.5
    radius = torch.where(outer, 2.0, 1.0) + 0.1 * torch.randn(count)
    points = torch.stack((radius * angle.cos(), radius * angle.sin()), dim=1)
    quarter = (angle / (math.pi / 2)).long().clamp(max=3)
    return TensorDataset(points, quarter + 4 * outer.long())


def network(hidden):
    layers = [nn.Linear(2, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(hidden, 8))


def main(settings):
    torch.manual_seed(4)
    loader = DataLoader(rings(400), batch_size=settings["batch"], shuffle=True)
    model = network(settings["hidden"])
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings["rate"])
    criterion = nn.CrossEntropyLoss()
    for epoch in range(settings["epochs"]):
        total = 0.0
        for points, labels in loader:
            loss = criterion(model(points), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(epoch, round(total / len(loader), 3))


main(SETTINGS)
