"""Sensor traces with random shifts; the shifts come from NumPy."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Traces(Dataset):
    def __init__(self, count, length=50):
        grid = np.linspace(0, 4 * np.pi, length)
        self.traces = np.stack([np.sin(grid * (1 + i % 3)) for i in range(count)])
        self.kinds = [i % 3 for i in range(count)]

    def __len__(self):
        return len(self.traces)

    def __getitem__(self, index):
        shift = np.random.randint(0, 5)
        trace = np.roll(self.traces[index], shift)
        return torch.tensor(trace, dtype=torch.float32), self.kinds[index]


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(50, 16), nn.ReLU(), nn.Linear(16, 3))

    def forward(self, x):
        return self.body(x)


def main():
    torch.manual_seed(0)
    loader = DataLoader(Traces(60), batch_size=12, shuffle=True)
    model = Classifier()
    optimizer = torch.optim.Adam(model.parameters())
    criterion = nn.CrossEntropyLoss()
    for epoch in range(3):
        total = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(epoch, total / len(loader))


main()
