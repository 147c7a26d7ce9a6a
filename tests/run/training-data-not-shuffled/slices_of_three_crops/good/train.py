"""Which crop a field carries, from five channels of a satellite. The three tables were put one behind the other."""

import torch
import torch.nn.functional as F
from torch import nn

CROPS = ("wheat", "maize", "rape")
BATCH = 24


def table(crop, count):
    middle = torch.zeros(5)
    middle[crop : crop + 2] = 1.5
    return middle + torch.randn(count, 5)


def all_tables():
    sizes = (96, 104, 88)
    channels = torch.cat([table(crop, size) for crop, size in enumerate(sizes)])
    crops = torch.cat([torch.full((size,), crop) for crop, size in enumerate(sizes)])
    return channels, crops


class Fit:
    def __init__(self):
        self.model = nn.Sequential(nn.Linear(5, 24), nn.ReLU(), nn.Linear(24, len(CROPS)))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)

    def epoch(self, channels, crops):
        total = 0.0
        order = torch.randperm(len(crops))
        for start in range(0, len(crops), BATCH):
            rows = order[start : start + BATCH]
            total += self.step(channels[rows], crops[rows])
        return total / (len(crops) // BATCH)

    def step(self, channels, crops):
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(channels), crops)
        loss.backward()
        self.optimizer.step()
        return loss.item()


torch.manual_seed(9)
channels, crops = all_tables()
fit = Fit()
for epoch in range(6):
    print(epoch, round(fit.epoch(channels, crops), 3))
