import numpy as np
import torch
from torch.utils.data import Dataset

NAMES = ["square", "cross", "frame"]


def paint(kind, rng, side):
    canvas = np.zeros((3, side, side), np.float32)
    half = int(rng.integers(3, 6))
    cy, cx = rng.integers(half, side - half, size=2)
    colour = rng.uniform(0.4, 1.0, size=(3, 1, 1))
    if kind == 0:
        canvas[:, cy - half : cy + half, cx - half : cx + half] = colour
    elif kind == 1:
        canvas[:, cy - 1 : cy + 1, cx - half : cx + half] = colour
        canvas[:, cy - half : cy + half, cx - 1 : cx + 1] = colour
    else:
        canvas[:, cy - half : cy + half, cx - half : cx + half] = colour
        canvas[:, cy - half + 2 : cy + half - 2, cx - half + 2 : cx + half - 2] = 0
    return canvas + rng.normal(0, 0.05, canvas.shape).astype(np.float32)


class ShapePictures(Dataset):
    def __init__(self, n, side=20, seed=0, augment=False):
        rng = np.random.default_rng(seed)
        self.kinds = rng.integers(0, len(NAMES), n)
        self.pictures = [torch.from_numpy(paint(k, rng, side)) for k in self.kinds]
        self.augment = augment

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, i):
        picture = self.pictures[i]
        if self.augment and torch.rand(()) < 0.5:
            picture = picture.flip(-1)
        return picture, int(self.kinds[i])
