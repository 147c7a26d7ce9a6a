"""Wrist sensor recordings: six channels (3 acceleration, 3 rotation) sampled at 20 Hz."""

import numpy as np
import torch
from torch.utils.data import Dataset

ACTIVITIES = ["rest", "walk", "run"]


def record(activity, seconds, rng):
    time = np.arange(int(seconds * 20)) / 20
    pace = [0.0, 1.6, 2.8][activity] * rng.uniform(0.9, 1.1)
    strength = [0.05, 0.7, 1.4][activity]
    phases = rng.uniform(0, 2 * np.pi, 6)
    channels = [strength * np.sin(2 * np.pi * pace * time + phase) for phase in phases]
    return np.stack(channels) + 0.1 * rng.standard_normal((6, len(time)))


class ActivityWindows(Dataset):
    def __init__(self, n_recordings, steps, seed):
        rng = np.random.default_rng(seed)
        self.windows, self.activities = [], []
        for _ in range(n_recordings):
            activity = int(rng.integers(len(ACTIVITIES)))
            recording = record(activity, seconds=8, rng=rng).astype(np.float32)
            for start in range(0, recording.shape[1] - steps + 1, steps):
                self.windows.append(recording[:, start : start + steps])
                self.activities.append(activity)

    def __len__(self):
        return len(self.windows)

    def __getitem__(self, idx):
        window = torch.from_numpy(self.windows[idx])
        return window, self.activities[idx]
