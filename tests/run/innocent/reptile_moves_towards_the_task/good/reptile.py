from copy import deepcopy

import torch
from torch import nn

torch.manual_seed(9)
network = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 1))
inner_rate, outer_rate, inner_steps = 0.02, 0.3, 6


def sample_task():
    phase, height = torch.rand(1) * 3.14, torch.rand(1) * 4 + 1
    grid = torch.linspace(-5, 5, 40).unsqueeze(1)
    return grid, height * torch.sin(grid + phase)


for iteration in range(12):
    before = deepcopy(network.state_dict())
    grid, heights = sample_task()
    optimizer = torch.optim.SGD(network.parameters(), lr=inner_rate)
    for _ in range(inner_steps):
        chosen = torch.randperm(40)[:10]
        loss = (network(grid[chosen]) - heights[chosen]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after = network.state_dict()
    network.load_state_dict(
        {name: before[name] + outer_rate * (after[name] - before[name]) for name in before}
    )

start = deepcopy(network.state_dict())
for trial in range(3):
    network.load_state_dict(start)
    optimizer = torch.optim.SGD(network.parameters(), lr=inner_rate)
    grid, heights = sample_task()
    for _ in range(inner_steps):
        loss = (network(grid) - heights).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(trial, loss.item())
