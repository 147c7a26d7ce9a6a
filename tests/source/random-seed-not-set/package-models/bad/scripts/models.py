from torch import nn


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.inner = nn.Linear(width, width)

    def forward(self, x):
        return x + self.inner(x).relu()


def build(width, depth=2):
    blocks = [Residual(width) for _ in range(depth)]
    return nn.Sequential(nn.Linear(1, width), *blocks, nn.Linear(width, 1))
