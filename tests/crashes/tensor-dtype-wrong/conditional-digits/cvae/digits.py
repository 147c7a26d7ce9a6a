import numpy as np
from sklearn.datasets import load_digits


def digits_as_arrays(limit=800):
    """Pixels in [0, 1] and the digit, both in compact types."""
    bunch = load_digits()
    pixels = (bunch.data[:limit] / bunch.data.max()).astype(np.float32)
    digits = bunch.target[:limit].astype(np.int32)
    return pixels, digits
