import random

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, get_worker_info


class Jittered(Dataset):
    """Points of a spiral, moved a little each time that they are asked for."""

    def __init__(self, count, spread):
        angle = np.linspace(0, 12, count)
        self.points = np.stack([angle * np.cos(angle), angle * np.sin(angle)], axis=1)
        self.turns = (angle > 6).astype(np.int64)
        self.spread = spread
        self.rng = np.random.RandomState(0)

    def __len__(self):
        return len(self.points)

    def __getitem__(self, index):
        moved = self.points[index] + self.spread * self.rng.randn(2)
        return moved.astype(np.float32), self.turns[index]


def seed_worker(worker):
    seed = torch.initial_seed() % 2**32
    random.seed(seed)
    get_worker_info().dataset.rng = np.random.RandomState(seed)


def main():
    torch.manual_seed(8)
    np.random.seed(8)
    data = Jittered(80, spread=0.3)
    loader = DataLoader(
        data, batch_size=16, shuffle=True, num_workers=2, worker_init_fn=seed_worker
    )
    model = nn.Sequential(nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for epoch in range(2):
        for points, turns in loader:
            loss = nn.functional.cross_entropy(model(points), turns)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(epoch, loss.item())
    for points, _ in DataLoader(data, batch_size=40):
        print(points.mean().item())


if __name__ == "__main__":
    main()
