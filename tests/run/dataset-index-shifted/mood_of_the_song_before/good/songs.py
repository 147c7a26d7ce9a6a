"""The mood of songs from their sound, memory-mapped because the real collection doesn't fit into memory."""

import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

SONGS, FEATURES = 200, 20


def collect(folder):
    """Moods in turn, and features that follow them."""
    moods = np.arange(SONGS) % 4
    sound = np.memmap(folder / "sound.dat", dtype="float32", mode="w+", shape=(SONGS, FEATURES))
    for number, mood in enumerate(moods):
        sound[number] = np.sin(np.arange(FEATURES) * (mood + 1) + number)
    sound.flush()
    np.save(folder / "moods.npy", moods)


class Songs(Dataset):
    def __init__(self, folder):
        self.tracks = np.memmap(
            folder / "sound.dat", dtype="float32", mode="r", shape=(SONGS, FEATURES)
        )
        self.moods = np.load(folder / "moods.npy")

    def __len__(self):
        return len(self.moods)

    def __getitem__(self, i):
        return torch.from_numpy(np.array(self.tracks[i])), int(self.moods[i])


def train(loader, epochs=3):
    model = nn.Sequential(nn.Linear(FEATURES, 24), nn.ReLU(), nn.Linear(24, 4))
    optimizer = torch.optim.RMSprop(model.parameters(), lr=2e-3)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        hits = seen = 0
        for tracks, moods in loader:
            optimizer.zero_grad()
            scores = model(tracks)
            loss = criterion(scores, moods)
            loss.backward()
            optimizer.step()
            hits += (scores.detach().argmax(dim=1) == moods).sum().item()
            seen += len(moods)
        print(f"epoch {epoch}: {hits / seen:.2f}")


with tempfile.TemporaryDirectory() as name:
    torch.manual_seed(5)
    collect(Path(name))
    train(DataLoader(Songs(Path(name)), batch_size=25, shuffle=True))
