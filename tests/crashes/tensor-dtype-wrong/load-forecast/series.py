import numpy as np
import torch
from torch.utils.data import Dataset


def hourly_load(days, seed):
    """Power demand of a small town: a daily and a weekly rhythm plus noise."""
    hours = np.arange(days * 24)
    rng = np.random.default_rng(seed)
    daily = np.sin(2 * np.pi * (hours - 7) / 24)
    weekly = 0.3 * np.cos(2 * np.pi * hours / (24 * 7))
    return 5.0 + daily + weekly + 0.1 * rng.standard_normal(len(hours))


class ForecastDataset(Dataset):
    """The last `history` hours as the input, the mean of the next `ahead` as the target."""

    def __init__(self, load, history, ahead):
        self.load = (load - load.mean()) / load.std()
        self.history = history
        self.ahead = ahead

    def __len__(self):
        return len(self.load) - self.history - self.ahead + 1

    def __getitem__(self, start):
        now = start + self.history
        past = torch.as_tensor(self.load[start:now], dtype=torch.float32)
        future = torch.as_tensor(self.load[now : now + self.ahead].mean())
        return past, future
