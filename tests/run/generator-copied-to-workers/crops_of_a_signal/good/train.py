"""Classifies vibrations of a machine; each item is a random stretch of a recording."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Recordings(Dataset):
    def __init__(self, waves, states, length, train=True):
        self.waves = waves
        self.states = states
        self.length = length
        self.train = train

    def __len__(self):
        return len(self.waves)

    def __getitem__(self, index):
        wave = self.waves[index]
        if self.train:
            wave = self.augment(wave)
        else:
            wave = wave[: self.length]
        return torch.as_tensor(wave, dtype=torch.float32), self.states[index]

    def augment(self, wave):
        start = int(torch.randint(len(wave) - self.length, (1,)))
        scale = 0.8 + 0.4 * torch.rand(1).item()
        return scale * wave[start : start + self.length]


def record(count):
    time = np.linspace(0, 4, 200)
    states = np.arange(count) % 2
    waves = [np.sin(6 * time * (1 + state)) + 0.01 * np.cos(40 * time) for state in states]
    return waves, torch.as_tensor(states)


def main():
    torch.manual_seed(0)
    np.random.seed(0)
    train = Recordings(*record(64), length=64)
    test = Recordings(*record(16), length=64, train=False)
    loader = DataLoader(train, batch_size=8, shuffle=True, num_workers=2)
    model = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(2):
        model.train()
        for waves, states in loader:
            loss = nn.functional.cross_entropy(model(waves), states)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            right = 0
            for waves, states in DataLoader(test, batch_size=8):
                right += (model(waves).argmax(dim=1) == states).sum().item()
        print(epoch, right / len(test))


if __name__ == "__main__":
    main()
