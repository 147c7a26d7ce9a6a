"""Containers that get their parts by name, after they were made, and parts that others take the place of."""

import copy
from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional as F


def decoder(sizes):
    stages = nn.Sequential()
    for number, (given, wanted) in enumerate(zip(sizes, sizes[1:])):
        stages.add_module(f"linear{number}", nn.Linear(given, wanted))
        if wanted != sizes[-1]:
            stages.add_module(f"act{number}", nn.Tanh())
    return stages


class Tower(nn.Sequential):
    """The order of the attributes is the order of the layers."""

    def __init__(self, given, width):
        super().__init__()
        self.first = nn.Linear(given, width)
        self.act = nn.ReLU()
        self.width = width
        self.add_module("last", nn.Linear(width, 1))


class Stack(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.count = len(sizes) - 1
        for i in range(self.count):
            setattr(self, f"fc{i}", nn.Linear(sizes[i], sizes[i + 1]))
            self.add_module(f"norm{i}", nn.LayerNorm(sizes[i + 1]))

    def forward(self, x):
        for i in range(self.count):
            x = getattr(self, f"norm{i}")(getattr(self, f"fc{i}")(x))
        return x


torch.manual_seed(0)
plain = nn.Sequential()
plain.add_module("spread", nn.Linear(4, 20))
plain.add_module("act", nn.ReLU())
print(F.mse_loss(plain(torch.rand(16, 4)), torch.rand(16, 20)).item())

named = nn.Sequential(OrderedDict([("a", nn.Linear(3, 4)), ("b", nn.ReLU()), ("c", nn.Linear(4, 2))]))
named.a = nn.Linear(5, 4)
print(named(torch.ones(1, 5)).shape)
del named.a
print(named(torch.ones(1, 4)).shape)

numbered = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
setattr(numbered, "0", nn.Linear(5, 3))
numbered.register_module("2", nn.Linear(3, 9))
numbered.out = nn.Linear(9, 7)
print(F.mse_loss(numbered(torch.rand(16, 5)), torch.rand(16, 7)).item())

tower = Tower(3, 8)
tower.first = nn.Linear(6, 8)
body = copy.deepcopy(tower)
body.last = nn.Identity()
print(tower(torch.rand(16, 6)).shape, F.mse_loss(body(torch.rand(16, 6)), torch.rand(16, 8)).item())

towers = nn.ModuleDict()
for name, given in (("text", 3), ("table", 4)):
    towers.add_module(name, Tower(given, 6))
print(towers["table"](torch.rand(1, 4)).shape, towers.text(torch.rand(2, 3)).shape)

model = nn.Sequential(Stack([5, 12, 6]), decoder((6, 12, 20)))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for step in range(3):
    optimizer.zero_grad()
    loss = F.mse_loss(model(torch.randn(8, 5)), torch.randn(8, 20))
    loss.backward()
    optimizer.step()
    print(loss.item())
