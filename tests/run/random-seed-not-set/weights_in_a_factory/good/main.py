"""Chooses the model by name: whoever draws first stands behind a dictionary of functions."""

import argparse

import registry
import torch
from torch import nn


def options_of(words=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", default="shallow", choices=("shallow", "linear"))
    parser.add_argument("--width", type=int, default=10)
    parser.add_argument("--steps", type=int, default=25)
    return parser.parse_args(words)


def data():
    grid = torch.linspace(-1, 1, 60)
    inputs = torch.stack([grid, grid**2, grid.sin()], dim=1)
    return inputs, (2 * grid - grid**2).unsqueeze(1)


def main():
    options = options_of()
    torch.manual_seed(17)
    inputs, targets = data()
    model = registry.build(options.name, options.width)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for step in range(options.steps):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(inputs), targets)
        loss.backward()
        optimizer.step()
    print(f"{loss.item():.5f}")


if __name__ == "__main__":
    main()
