"""Directions of wind as classes; calm days are rows of zeros."""

import torch
from torch import nn


class Compass(nn.Module):
    def __init__(self, hidden=16):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, hidden), nn.ReLU(), nn.Linear(hidden, 4))

    def forward(self, x):
        unit = x / x.norm(dim=1, keepdim=True)
        return self.layers(unit)


def winds(count):
    wind = torch.randn(count, 2)
    wind[::17] = 0.0
    quarter = (wind[:, 0] > 0).long() * 2 + (wind[:, 1] > 0).long()
    return wind, quarter


torch.manual_seed(0)
wind, quarter = winds(64)
model = Compass()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
loss_of = nn.CrossEntropyLoss()
for epoch in range(5):
    for part in torch.arange(64).split(16):
        optimizer.zero_grad()
        loss = loss_of(model(wind[part]), quarter[part])
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
