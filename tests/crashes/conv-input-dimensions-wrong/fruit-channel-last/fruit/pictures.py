import numpy as np

TONES = np.array([[60, 170, 50], [230, 210, 60], [110, 70, 40]])


def draw_fruit(ripeness, height, width, rng):
    """An RGB picture (height, width, 3) with values from 0 to 1."""
    background = np.full((height, width, 3), rng.uniform(0.7, 1.0))
    y, x = np.ogrid[:height, :width]
    cy, cx = rng.uniform(0.35, 0.65, 2) * (height, width)
    inside = ((y - cy) / (0.3 * height)) ** 2 + ((x - cx) / (0.25 * width)) ** 2 < 1
    background[inside] = (TONES[ripeness] + rng.normal(0, 18, 3)).clip(0, 255) / 255
    return background + rng.normal(0, 0.03, background.shape)


def basket(n, height=20, width=28, seed=0):
    rng = np.random.default_rng(seed)
    ripeness = rng.integers(0, len(TONES), n)
    return np.stack([draw_fruit(r, height, width, rng) for r in ripeness]), ripeness
