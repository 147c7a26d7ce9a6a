import torch
from torch.utils.data import TensorDataset


def machine_sounds(n, length=256, seed=0):
    gen = torch.Generator().manual_seed(seed)
    t = torch.linspace(0, 1, length)
    broken = torch.rand(n, generator=gen) < 0.4
    pitch = 10 + 6 * torch.rand(n, 1, generator=gen)
    hum = torch.sin(2 * torch.pi * pitch * t)
    rattle = torch.relu(torch.sin(2 * torch.pi * 61 * t)) * torch.rand(n, 1, generator=gen)
    sound = hum + broken[:, None] * rattle + 0.1 * torch.randn(n, length, generator=gen)
    return TensorDataset(sound[:, None, :], broken.float())
