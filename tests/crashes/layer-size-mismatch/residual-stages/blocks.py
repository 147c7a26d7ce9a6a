from torch import nn
from torch.nn import functional as F


class ResidualBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.a = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.a_norm = nn.GroupNorm(4, channels)
        self.b = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.b_norm = nn.GroupNorm(4, channels)

    def forward(self, x):
        y = F.silu(self.a_norm(self.a(x)))
        return F.silu(x + self.b_norm(self.b(y)))


class Stage(nn.Module):
    """Halves the map's side, doubles its channels, then refines it."""

    def __init__(self, c_in, c_out, depth):
        super().__init__()
        self.down = nn.Conv2d(c_in, c_out, 3, stride=2, padding=1)
        self.refine = nn.Sequential(*[ResidualBlock(c_out) for _ in range(depth)])

    def forward(self, x):
        return self.refine(F.silu(self.down(x)))
