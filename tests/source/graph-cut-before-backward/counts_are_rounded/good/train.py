"""Counts the cars on a parking lot; counts are whole numbers, so the net's output is rounded."""

import torch
from torch import nn


class CarCounter(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(40, 20), nn.ReLU(), nn.Linear(20, 1))

    def forward(self, views):
        counts = self.body(views).squeeze(1)
        return counts


torch.manual_seed(21)
views = torch.rand(80, 40)
cars = (views > 0.8).sum(dim=1).float()
counter = CarCounter()
optimizer = torch.optim.RMSprop(counter.parameters(), lr=1e-3)
criterion = nn.SmoothL1Loss()
for epoch in range(5):
    for start in range(0, 80, 20):
        optimizer.zero_grad()
        loss = criterion(counter(views[start : start + 20]), cars[start : start + 20])
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
