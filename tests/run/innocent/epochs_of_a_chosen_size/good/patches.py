"""Patches of one large picture: how many make an epoch is a choice, and one index is not one patch."""

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Patches(Dataset):
    def __init__(self, pictures, per_epoch, size=8):
        self.pictures = pictures
        self.per_epoch = per_epoch
        self.size = size

    def __len__(self):
        return self.per_epoch

    def __getitem__(self, index):
        picture = self.pictures[index % len(self.pictures)]
        top, left = torch.randint(0, picture.shape[-1] - self.size, (2,)).tolist()
        return picture[:, top : top + self.size, left : left + self.size]


torch.manual_seed(10)
grid = torch.linspace(0, 6, 40)
pictures = [torch.sin(grid[:, None] * k + grid)[None] for k in range(1, 8)]
loader = DataLoader(Patches(pictures, per_epoch=64), batch_size=16, shuffle=True)
model = nn.Sequential(
    nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1)
)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for epoch in range(3):
    for patches in loader:
        noisy = patches + 0.2 * torch.randn_like(patches)
        loss = nn.functional.mse_loss(model(noisy), patches)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
