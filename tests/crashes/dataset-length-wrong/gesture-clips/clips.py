import math

import torch
from torch.utils.data import Dataset


def record_session(n_clips, frames_per_clip, n_sensors, seed):
    """One long recording: every gesture lasts frames_per_clip frames."""
    gen = torch.Generator().manual_seed(seed)
    gestures = torch.randint(0, 3, (n_clips,), generator=gen)
    time = torch.arange(frames_per_clip) / frames_per_clip
    pieces = []
    for gesture in gestures.tolist():
        wave = torch.sin(2 * math.pi * (gesture + 1) * time)[:, None].repeat(1, n_sensors)
        pieces.append(wave + 0.3 * torch.randn(wave.shape, generator=gen))
    return torch.cat(pieces), gestures.repeat_interleave(frames_per_clip)


class GestureClips(Dataset):
    """Cuts a recording into clips of k frames; the label is the first frame's gesture."""

    def __init__(self, frames, frame_labels, k):
        assert len(frames) == len(frame_labels)
        self.frames = frames
        self.frame_labels = frame_labels
        self.k = k

    def __len__(self):
        return len(self.frames)

    def __getitem__(self, i):
        first = i * self.k
        clip = torch.stack([self.frames[first + j] for j in range(self.k)])
        return clip, self.frame_labels[first]
