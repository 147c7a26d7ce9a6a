"""Blocks of one small network, each written in another of the ways in which a class can get its `forward`."""

from functools import partialmethod

import torch
from torch import nn

torch.manual_seed(1)
FAST = torch.get_num_threads() > 1


class Scaled(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc = nn.Linear(width, width)

    def run(self, x, scale):
        return scale * self.fc(x)

    forward = partialmethod(run, scale=0.5)


class Shortcut(nn.Module):
    """Stands where a projection stands if the widths differ."""

    forward = nn.Identity.forward


class Doubled(nn.Module):
    for _name in ("forward", "infer"):
        locals()[_name] = lambda self, x: x + x


class Generated(nn.Module):
    exec("def forward(self, x):\n    return x.relu()")


class Chosen(nn.Module):
    if FAST:

        def forward(self, x):
            return nn.functional.gelu(x, approximate="tanh")

    else:

        def forward(self, x):
            return nn.functional.gelu(x)


def elementwise(function):
    """Makes `forward` of a function of one tensor."""

    def decorate(cls):
        for name in ("forward", "export"):
            setattr(cls, name, lambda self, x: function(x))
        return cls

    return decorate


@elementwise(torch.tanh)
class Squash(nn.Module):
    pass


class Registered(type):
    def __call__(cls, *args, **kwargs):
        made = super().__call__(*args, **kwargs)
        made.forward = made.apply_rows
        return made


class Rows(nn.Module, metaclass=Registered):
    def apply_rows(self, x):
        return x - x.mean(dim=1, keepdim=True)


class Direct(nn.Module):
    def compute(self, x):
        return x.abs()

    __call__ = compute


class Delegating(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.inner = nn.Linear(width, width)

    @property
    def forward(self):
        return self.inner.forward


class Later(nn.Module):
    pass


def sums(self, x):
    return x.cumsum(dim=1)


def attach(cls, **methods):
    for name, method in methods.items():
        setattr(cls, name, method)


attach(Later, forward=sums)

if __name__ == "__main__":
    x = torch.randn(4, 6)
    blocks = [
        Scaled(6),
        Shortcut(),
        Doubled(),
        Generated(),
        Chosen(),
        Squash(),
        Rows(),
        Direct(),
        Delegating(6),
        Later(),
    ]
    for block in blocks:
        x = block(x)
        print(type(block).__name__, tuple(x.shape))
