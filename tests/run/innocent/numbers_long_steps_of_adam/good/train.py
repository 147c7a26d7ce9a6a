"""Steps of one and more are right where what they move is as large: cameras in pixels, and a rate that is looked for."""

import torch
from torch import nn

torch.manual_seed(6)


def cameras_in_pixels():
    """Where three cameras stand, from what they see: hundreds of pixels away from the first guess."""
    points = torch.rand(40, 2) * 800
    true = torch.tensor([[100.0, 620.0], [700.0, 30.0], [420.0, 410.0]])
    measured = points[:, None] - true[None]
    guess = nn.Parameter(torch.full((3, 2), 400.0))
    optimizer = torch.optim.Adam([guess], lr=5.0)
    for _ in range(120):
        optimizer.zero_grad()
        loss = (points[:, None] - guess[None] - measured).pow(2).sum(dim=2).mean()
        loss.backward()
        optimizer.step()
    return guess.sub(true).abs().max().item()


def rate_range_test(lowest=1e-4, highest=4.0, steps=40):
    """The loss at rates that grow: the last ones are meant to be too large."""
    model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=lowest)
    growth = torch.optim.lr_scheduler.ExponentialLR(optimizer, (highest / lowest) ** (1 / steps))
    curve = []
    for _ in range(steps):
        inputs = torch.randn(32, 6)
        loss = nn.functional.cross_entropy(model(inputs), inputs[:, :3].argmax(dim=1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        growth.step()
        curve.append(loss.item())
    return min(range(steps), key=curve.__getitem__)


print(f"off by {cameras_in_pixels():.2f} pixels")
print("lowest loss at step", rate_range_test())
