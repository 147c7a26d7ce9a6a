import random

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Anchors(Dataset):
    """One item for each person: two of the person's pictures."""

    def __init__(self, pictures, numbers):
        self.pictures = pictures
        self.numbers = numbers

    def __len__(self):
        return len(self.numbers)

    def __getitem__(self, person):
        first, second = random.sample(self.numbers[person], 2)
        return self.pictures[first], self.pictures[second]


random.seed(1)
torch.manual_seed(1)
pictures = torch.rand(40, 1, 12, 12)
numbers = [list(range(5 * p, 5 * p + 5)) for p in range(8)]
loader = DataLoader(Anchors(pictures, numbers), batch_size=4, shuffle=True)
encoder = nn.Sequential(
    nn.Conv2d(1, 4, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 6)
)
optimizer = torch.optim.SGD(encoder.parameters(), lr=0.05)
for epoch in range(2):
    for left, right in loader:
        a, b = encoder(left), encoder(right)
        scores = a @ b.T
        loss = nn.functional.cross_entropy(scores, torch.arange(len(a)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
