import math

import torch
from torch.utils.data import Dataset

RATE = 250
MINUTES = 40
SEGMENT = RATE * 60 * MINUTES


def night(length, seed):
    """A fake ECG: a sharp beat about once a second, and a label for each sample."""
    gen = torch.Generator().manual_seed(seed)
    t = torch.arange(length) / RATE
    fast = torch.sin(2 * math.pi * t / 9 + 6 * torch.rand((), generator=gen)) > 0.3
    phase = torch.cumsum(torch.where(fast, 1.6, 1.0) / RATE, 0) % 1.0
    beat = torch.exp(-((phase - 0.5) ** 2) / 0.002)
    return beat + 0.05 * torch.randn(length, generator=gen), fast.long()


class Recordings(Dataset):
    def __init__(self, patients, seed):
        self.nights = [night(RATE * 60 * MINUTES, seed + p) for p in range(patients)]

    def __len__(self):
        return len(self.nights)

    def __getitem__(self, i):
        signal, fast = self.nights[i]
        return signal[:SEGMENT, None], fast[:SEGMENT]
