"""Accumulates if it is asked to, and is not."""

import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--update-every", type=int, default=1)
options = parser.parse_args()

torch.manual_seed(0)
points = torch.rand(120, 2)
inside = ((points - 0.5).norm(dim=1) < 0.4).long()
loader = DataLoader(TensorDataset(points, inside), batch_size=12, shuffle=True)
model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for epoch in range(4):
    for number, (where, label) in enumerate(loader):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(where), label) / options.update_every
        loss.backward()
        if (number + 1) % options.update_every == 0:
            optimizer.step()
    print(epoch, loss.item())
