import torch.nn.functional as F
from torch import nn


class Embedder(nn.Module):
    def __init__(self, n_in, n_out=64):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(n_in, 32), nn.Hardswish(), nn.Linear(32, n_out))

    def forward(self, x):
        return F.normalize(self.body(x), dim=-1)
