"""A hinge loss: from some step on every sample is right by a margin, and all gradients are 0."""

import torch
from torch import nn


def hinge(scores, signs):
    return torch.relu(1 - scores.squeeze(1) * signs).mean()


torch.manual_seed(0)
centres = torch.tensor([[3.0, 3.0], [-3.0, -3.0]])
kind = torch.randint(0, 2, (80,))
points = centres[kind] + 0.2 * torch.randn(80, 2)
signs = 1.0 - 2.0 * kind
model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
for epoch in range(30):
    loss = hinge(model(points), signs)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(loss.item())
