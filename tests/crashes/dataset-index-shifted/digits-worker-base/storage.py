"""Datasets that keep their items in memory. Subclasses only say how an item is turned out."""

from abc import abstractmethod

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch.utils.data import Dataset


class InMemory(Dataset):
    def __init__(self, items, targets):
        super().__init__()
        self._items = items
        self._targets = targets

    def __len__(self):
        return len(self._targets)

    def _load(self, i):
        return self._items[i], self._targets[i]

    @abstractmethod
    def __getitem__(self, i): ...


class NoisyDigits(InMemory):
    """Digits with additive noise; the clean image is the target of the denoiser."""

    def __init__(self, noise=0.15, limit=600):
        images = (load_digits().images[:limit] / 16).astype(np.float32)
        dirty = images + noise * np.random.default_rng(0).standard_normal(images.shape)
        super().__init__(list(dirty.astype(np.float32)), list(images))
        self.shape = images.shape[1:]

    def __getitem__(self, i):
        dirty, clean = self._load(i + 1)
        return torch.from_numpy(dirty).unsqueeze(0), torch.from_numpy(clean).unsqueeze(0)
