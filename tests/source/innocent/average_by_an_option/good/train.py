"""The average is a copy if it is asked for, and else the model itself, which is then left as it is."""

import argparse
import copy

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--decay", type=float, default=0.9)
parser.add_argument("--no-average", action="store_true")
options = parser.parse_args()


def average_of(model, is_wanted):
    if not is_wanted:
        return model
    return copy.deepcopy(model).requires_grad_(False)


@torch.no_grad()
def follow(average, model, decay):
    if average is model:
        return
    for slow, fast in zip(average.parameters(), model.parameters()):
        slow.mul_(decay).add_(fast, alpha=1 - decay)


def distance(one, other):
    """Of the model from itself it is 0: a check that the pairs stand in one order."""
    return sum((a - b).abs().sum().item() for a, b in zip(one.parameters(), other.parameters()))


torch.manual_seed(0)
inputs = torch.randn(96, 6)
loader = DataLoader(TensorDataset(inputs, inputs.sum(dim=1, keepdim=True)), 16, shuffle=True)
model = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 1))
average = average_of(model, not options.no_average)
spare = model if options.no_average else copy.deepcopy(model)
same = model
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for epoch in range(3):
    for features, targets in loader:
        loss = nn.functional.mse_loss(model(features), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        follow(average, model, options.decay)
        if not options.no_average:
            with torch.no_grad():
                for slow, fast in zip(spare.parameters(), model.parameters()):
                    slow.lerp_(fast, 0.5)
    print(epoch, round(distance(model, same), 3), round(distance(average, same), 3))
