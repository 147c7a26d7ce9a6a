"""Statements without an assignment that are right: modules, methods that end with `_`, containers, a warm-up."""

import time

import torch
from torch import nn

torch.manual_seed(16)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(8, 2)
model.to(device)
model.float()
weights = torch.rand(64, 1).to(device)
weights.clamp_(0.1, 0.9)
inputs = torch.randn(64, 8)
begin = time.perf_counter()
for _ in range(3):
    inputs.to(device)
print(f"{time.perf_counter() - begin:.1e} s")
inputs = inputs.to(device)
targets = (inputs[:, :2] > 0).float()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(5):
    optimizer.zero_grad()
    apart = (model(inputs) - targets).pow(2)
    apart.mul_(weights)
    loss = apart.mean()
    loss.backward()
    optimizer.step()
print(loss.item())
