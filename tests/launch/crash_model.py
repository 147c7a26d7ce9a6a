import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width + 1, width))

    def forward(self, x):
        return self.body(x)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 8)
        self.blocks = nn.ModuleList([Block(8), Block(8)])

    def forward(self, x, mask=None):
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return x


def train():
    model = Net()
    print("training", flush=True)
    model(torch.ones(2, 4), mask=torch.ones(2, dtype=torch.bool))


train()
