"""One net, two losses in turn, each with an optimizer of its own; the second one measures through a sensor that is given."""

import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(4, 24), nn.Tanh(), nn.Linear(24, 3))
sensor = nn.Linear(3, 2)
precise = torch.optim.Adam(net.parameters(), lr=0.005)
coarse = torch.optim.SGD(net.parameters(), lr=0.02)
for round in range(30):
    x = torch.randn(32, 4)
    precise.zero_grad()
    near = nn.functional.mse_loss(net(x), x[:, :3].sin())
    near.backward()
    precise.step()

    coarse.zero_grad()
    far = nn.functional.mse_loss(sensor(net(x)), torch.zeros(32, 2))
    far.backward()
    coarse.step()
    if round % 10 == 9:
        print(round, near.item(), far.item())
