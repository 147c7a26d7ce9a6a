import numpy as np


def tides(days, seed):
    """Hourly water level: two tides of different length, weather, and some noise."""
    rng = np.random.default_rng(seed)
    hour = np.arange(24 * days)
    level = 1.4 * np.sin(2 * np.pi * hour / 12.42) + 0.5 * np.sin(2 * np.pi * hour / 25.82)
    weather = np.convolve(rng.normal(size=hour.size + 47), np.ones(48) / 48, mode="valid")
    return (level + 2 * weather + 0.05 * rng.normal(size=hour.size)).astype("float32")


def windows(series, past, future):
    view = np.lib.stride_tricks.sliding_window_view(series, past + future)
    return view[:, :past].copy(), view[:, past:].copy()
