"""Fake spoken words: each word is a different pair of sweeping tones."""

import math

import torch
from torch.utils.data import Dataset

RATE = 2000
WORDS = ("yes", "no", "up", "down")


def tone_sweep(start, stop, seconds, gen):
    t = torch.arange(int(RATE * seconds)) / RATE
    phase = 2 * math.pi * (start * t + (stop - start) * t**2 / (2 * seconds))
    return torch.sin(phase) + 0.2 * torch.randn(t.shape, generator=gen)


class SpokenWords(Dataset):
    def __init__(self, n, n_fft, hop, seed):
        gen = torch.Generator().manual_seed(seed)
        self.words = torch.randint(len(WORDS), (n,), generator=gen)
        self.clips = []
        for word in self.words.tolist():
            low = 120 + 130 * word
            self.clips.append(tone_sweep(low, low + 160, 0.5, gen))
        self.n_fft, self.hop = n_fft, hop

    def __len__(self):
        return len(self.clips)

    def __getitem__(self, i):
        window = torch.hann_window(self.n_fft)
        spec = torch.stft(
            self.clips[i], self.n_fft, self.hop, window=window, return_complex=True
        ).abs()
        return torch.log1p(spec).unsqueeze(0), self.words[i]
