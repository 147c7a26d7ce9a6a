"""Fits a sine with LBFGS; the closure evaluates the loss several times per step."""

import math

import torch
from torch import nn


class Curve(nn.Module):
    def __init__(self, hidden=20):
        super().__init__()
        self.first = nn.Linear(1, hidden)
        self.second = nn.Linear(hidden, 1)

    def forward(self, t):
        return self.second(torch.tanh(self.first(t)))


def data(count):
    t = torch.linspace(-math.pi, math.pi, count).unsqueeze(1)
    return t, torch.sin(t)


def fit(model, t, y, steps):
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=10)
    criterion = nn.MSELoss()
    losses = []

    def closure():
        loss = criterion(model(t), y)
        loss.backward()
        return loss

    for step in range(steps):
        loss = optimizer.step(closure)
        losses.append(loss.item())
        print(f"step {step}: {losses[-1]:.6f}")
    return losses


def main():
    torch.manual_seed(0)
    model = Curve()
    t, y = data(100)
    losses = fit(model, t, y, steps=4)
    with torch.no_grad():
        future = torch.linspace(math.pi, 2 * math.pi, 5).unsqueeze(1)
        print("beyond the data:", model(future).squeeze(1).tolist())
    print("lowest", min(losses))


main()
