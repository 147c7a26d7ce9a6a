import torch
from torch import nn


def features(x):
    return torch.cat([x, x**2, x**3], dim=1)


x = torch.linspace(-1, 1, 100).unsqueeze(1)
y = 0.5 * x**3 - x
model = nn.Linear(3, 1)
optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5)


def closure():
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(model(features(x)), y)
    loss.backward()
    return loss


for round_number in range(5):
    loss = optimizer.step(closure)
    print(round_number, loss.item())
