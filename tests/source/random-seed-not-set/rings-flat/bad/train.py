"""Two rings of points, told apart by a small network."""

import math

import torch
from torch import nn


angles = torch.rand(400) * 2 * math.pi
radii = torch.cat([torch.full((200,), 1.0), torch.full((200,), 2.0)])
points = torch.stack([radii * angles.cos(), radii * angles.sin()], dim=1)
labels = (radii > 1.5).float().unsqueeze(1)

net = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 1))
loss_fn = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)

for step in range(200):
    optimizer.zero_grad()
    loss = loss_fn(net(points), labels)
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(step, loss.item())

net.eval()
with torch.no_grad():
    right = ((net(points) > 0).float() == labels).float().mean().item()
print(f"right: {right:.1%}")
