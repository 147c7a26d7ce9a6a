import numpy as np


def catalogue(n, n_bands=12, n_kinds=5, seed=0):
    """Brightness of n made-up galaxies in several colour bands."""
    rng = np.random.default_rng(seed)
    spectra = rng.normal(size=(n_kinds, n_bands))
    kind = rng.integers(n_kinds, size=n)
    light = spectra[kind] + 0.8 * rng.normal(size=(n, n_bands))
    return light.astype(np.float32), kind
