"""Small pictures of two textures; the group makes up for the memory that a larger batch would need."""

import torch
from engine import Learner
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def pictures(count=160):
    labels = torch.arange(count) % 2
    stripes = torch.arange(12) % 2
    noise = torch.rand(count, 1, 12, 12)
    return TensorDataset(noise + labels[:, None, None, None] * stripes, labels)


def network():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(3),
        nn.Flatten(),
        nn.Linear(72, 2),
    )


if __name__ == "__main__":
    torch.manual_seed(7)
    loader = DataLoader(pictures(), batch_size=4, shuffle=True, drop_last=True)
    learner = Learner(network(), rate=0.05, group=5)
    for epoch in range(2):
        for number, batch in enumerate(loader):
            learner.learn(number, batch)
        print(epoch, round(learner.recent(), 3))
