"""Looks for a learning rate by raising it until the loss explodes, then trains with a tenth of it."""

import copy
import math

import torch
from torch import nn


def find(model, inputs, targets, low=1e-4, high=10.0, steps=24):
    model = copy.deepcopy(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=low)
    factor = (high / low) ** (1 / (steps - 1))
    best, chosen = math.inf, low
    for _ in range(steps):
        loss = nn.functional.mse_loss(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss.item() < best:
            best, chosen = loss.item(), optimizer.param_groups[0]["lr"]
        for group in optimizer.param_groups:
            group["lr"] *= factor
    return chosen / 10


torch.manual_seed(0)
inputs = torch.randn(64, 6) * 10
targets = inputs.sum(dim=1, keepdim=True)
model = nn.Linear(6, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=find(model, inputs, targets))
for epoch in range(12):
    loss = nn.functional.mse_loss(model(inputs), targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(loss.item())
