import numpy as np
import torch
from torch.utils.data import Dataset


class BlobSegmentation(Dataset):
    """Noisy grey images with a few bright discs, and the discs' mask."""

    def __init__(self, n, side=32, seed=0):
        self.n, self.side, self.seed = n, side, seed

    def __len__(self):
        return self.n

    def __getitem__(self, k):
        rng = np.random.RandomState(self.seed * 100003 + k)
        yy, xx = np.ogrid[: self.side, : self.side]
        mask = np.zeros((self.side, self.side), dtype=bool)
        for _ in range(rng.randint(1, 4)):
            cy, cx = rng.randint(4, self.side - 4, size=2)
            mask |= (yy - cy) ** 2 + (xx - cx) ** 2 <= rng.randint(2, 6) ** 2
        image = mask * 0.7 + rng.normal(0, 0.25, mask.shape)
        return (
            torch.from_numpy(image.astype("float32"))[None],
            torch.from_numpy(mask.astype("float32"))[None],
        )
