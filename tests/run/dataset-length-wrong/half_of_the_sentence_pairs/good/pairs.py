from __future__ import annotations

from torch.utils.data import Dataset


class Pairs(Dataset):
    """Two sentences each, as word counts, and whether they mean the same."""

    def __init__(self, left: list, right: list, same: list):
        self.left, self.right, self.same = left, right, same

    def __len__(self):
        return len(self.left)

    def __getitem__(self, n):
        return self.left[n], self.right[n], self.same[n]
