import numpy as np

KINDS = ("stripes", "checks", "rings", "noise")


def draw(kind: str, size: int, rng: np.random.Generator) -> np.ndarray:
    yy, xx = np.mgrid[0:size, 0:size].astype(np.float32)
    period = rng.uniform(4, 8)
    if kind == "stripes":
        grey = np.sin(2 * np.pi * xx / period)
    elif kind == "checks":
        grey = np.sign(np.sin(2 * np.pi * xx / period) * np.sin(2 * np.pi * yy / period))
    elif kind == "rings":
        grey = np.sin(2 * np.pi * np.hypot(xx - size / 2, yy - size / 2) / period)
    else:
        grey = rng.normal(size=(size, size))
    tint = rng.uniform(0.3, 1.0, size=(3, 1, 1))
    return (tint * grey + rng.normal(scale=0.2, size=(3, size, size))).astype(np.float32)


def make_split(n: int, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(KINDS), n)
    images = np.stack([draw(KINDS[k], size, rng) for k in labels])
    return images, labels.astype(np.int64)
