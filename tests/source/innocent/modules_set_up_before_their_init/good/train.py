"""Modules whose `__init__` never names `super().__init__()`: somebody else has called it by then."""

from dataclasses import dataclass

import torch
from torch import nn

torch.manual_seed(2)


class Ready(nn.Module):
    """A base whose instances are modules before `__init__` runs."""

    def __new__(cls, *args, **kwargs):
        made = super().__new__(cls)
        nn.Module.__init__(made)
        return made


class Classifier(Ready):
    def __init__(self, width, classes):
        self.body = nn.Linear(8, width)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.body(x).relu())


@dataclass(eq=False)
class Autoencoder(Ready):
    width: int = 4

    def __post_init__(self):
        self.down = nn.Linear(8, self.width)
        self.up = nn.Linear(self.width, 8)

    def forward(self, x):
        return self.up(self.down(x))


class SetUp(type):
    """Calls `nn.Module.__init__` for every class that it makes."""

    def __call__(cls, *args, **kwargs):
        made = cls.__new__(cls)
        nn.Module.__init__(made)
        made.__init__(*args, **kwargs)
        return made


class Gate(nn.Module, metaclass=SetUp):
    def __init__(self, width):
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x * self.weight.sigmoid()


class Chained(nn.Module):
    """Its subclasses' `__init__` is preceded by that of the base."""

    def __init_subclass__(cls):
        own = cls.__init__

        def both(self, *args, **kwargs):
            nn.Module.__init__(self)
            own(self, *args, **kwargs)

        cls.__init__ = both


class Mixer(Chained):
    def __init__(self, width):
        self.mix = nn.Linear(width, width)

    def forward(self, x):
        return x + self.mix(x)


def as_module(init):
    def prepared(self, *args):
        for base in type(self).__mro__[1:2]:
            base.__init__(self)
        init(self, *args)

    return prepared


class Norm(nn.Module):
    @as_module
    def __init__(self, width):
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return self.scale * x / x.norm(dim=1, keepdim=True)


def main():
    model = nn.Sequential(Autoencoder(3), Gate(8), Mixer(8), Norm(8), Classifier(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    inputs, targets = torch.randn(32, 8), torch.randint(0, 3, (32,))
    for epoch in range(5):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        print(epoch, loss.item())


main()
