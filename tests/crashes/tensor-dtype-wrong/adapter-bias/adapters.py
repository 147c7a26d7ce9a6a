"""Low-rank adapters: a frozen layer and a small trainable correction beside it."""
import numpy as np
import torch
from torch import nn
from torch.nn import Parameter


class FrozenLinear(nn.Module):
    """A layer whose weights were trained elsewhere and come as arrays."""

    def __init__(self, weight: np.ndarray, bias: np.ndarray):
        super().__init__()
        self.register_buffer("weight", torch.as_tensor(weight, dtype=torch.float32))
        self.register_buffer("bias", torch.as_tensor(bias))

    @property
    def sizes(self):
        return tuple(self.weight.shape)

    def forward(self, x):
        return torch.addmm(self.bias, x, self.weight.t())


class Adapter(nn.Module):
    def __init__(self, frozen: FrozenLinear, rank: int, scale: float = 1.0):
        super().__init__()
        self.frozen = frozen
        n_out, n_in = frozen.sizes
        self.down = Parameter(torch.randn(rank, n_in) / n_in**0.5)
        self.up = Parameter(torch.zeros(n_out, rank))
        self.scale = scale

    def forward(self, x):
        return self.frozen(x) + self.scale * (x @ self.down.t() @ self.up.t())
