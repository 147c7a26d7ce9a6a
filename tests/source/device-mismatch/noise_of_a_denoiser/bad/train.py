"""A denoiser learns the noise that was added to points of a spiral."""

import torch
from torch import nn


def spiral(count):
    turns = torch.linspace(0, 9, count)
    return torch.stack([turns * turns.cos(), turns * turns.sin()], dim=1) / 9


def noisy(points, amount):
    noise = torch.randn(points.shape)
    return points + amount * noise, noise


def main():
    torch.manual_seed(4)
    use = "cuda:0" if torch.cuda.is_available() else "cpu"
    denoiser = nn.Sequential(nn.Linear(2, 32), nn.SiLU(), nn.Linear(32, 2)).to(use)
    optimizer = torch.optim.Adam(denoiser.parameters(), lr=1e-3)
    data = spiral(128).to(use)
    for step in range(10):
        points = data[torch.randperm(len(data))[:32]]
        disturbed, noise = noisy(points, amount=0.3)
        loss = ((denoiser(disturbed) - noise) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(loss.item())


main()
