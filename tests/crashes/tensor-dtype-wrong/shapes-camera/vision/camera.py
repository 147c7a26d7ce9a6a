"""Draws discs, squares and stripes the way an 8-bit colour camera would deliver them."""

import numpy as np

CLASSES = ("disc", "square", "stripes")


def snapshot(kind, size, rng):
    image = rng.integers(0, 60, (size, size, 3), dtype=np.uint8)
    colour = rng.integers(150, 255, 3, dtype=np.uint8)
    rows, columns = np.mgrid[:size, :size]
    centre = rng.integers(size // 3, 2 * size // 3, 2)
    if kind == "disc":
        mask = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < (size / 4) ** 2
    elif kind == "square":
        mask = np.maximum(abs(rows - centre[0]), abs(columns - centre[1])) < size / 4
    else:
        mask = (rows + centre[0]) % 6 < 3
    image[mask] = colour
    return image


def album(count, size=24, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(CLASSES), count)
    return [snapshot(CLASSES[k], size, rng) for k in labels], labels.tolist()
