"""Bytes of pictures become floats in a dataset; a network tells dark from light."""

import torch
from torch import nn, optim
from torch.utils.data import DataLoader, Dataset


class Pictures(Dataset):
    def __init__(self, count):
        self.pixels = torch.randint(0, 256, (count, 1, 6, 6), dtype=torch.uint8)
        self.pixels[::2] //= 4
        self.labels = torch.arange(count) % 2

    def __len__(self):
        return len(self.pixels)

    def __getitem__(self, index):
        pixels = self.pixels[index]
        pixels = pixels.to(torch.float32)
        shifted = pixels + 100
        return shifted / 355, self.labels[index]


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.head = nn.Linear(4 * 4 * 4, 2)

    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).flatten(1))


torch.manual_seed(15)
loader = DataLoader(Pictures(60), batch_size=12, shuffle=True)
classifier = Classifier()
optimizer = optim.Adam(classifier.parameters(), lr=1e-2)
for epoch in range(2):
    for x, y in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(classifier(x), y)
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
