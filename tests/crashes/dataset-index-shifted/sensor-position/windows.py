import numpy as np
from torch.utils.data import Dataset


def simulate_machine(hours, channels, seed=0):
    """Vibration windows of one machine and its wear in the same hour."""
    rng = np.random.default_rng(seed)
    wear = np.cumsum(rng.random(hours)).astype(np.float32)
    wear /= wear[-1]
    noise = rng.standard_normal((hours, channels)).astype(np.float32)
    signal = noise * 0.2 + wear[:, None] * np.linspace(0.5, 2, channels, dtype=np.float32)
    return signal, wear


class WearDataset(Dataset):
    def __init__(self, signal, wear, begin=0, end=None):
        self.signal = signal[begin:end]
        self.wear = wear[begin:end]

    def __len__(self):
        return self.signal.shape[0]

    def __getitem__(self, hour):
        position = hour + 1
        reading = self.signal[position]
        target = self.wear[position : position + 1]
        return reading, target
