"""The generator's loss is the mean over three critics, and its step is taken in every third pass."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
CRITICS = 3


def critic():
    return nn.Sequential(nn.Linear(2, 24), nn.LeakyReLU(0.2), nn.Linear(24, 1))


angles = torch.rand(240) * 6.28
ring = torch.stack([angles.cos(), angles.sin()], dim=1)
loader = DataLoader(TensorDataset(ring), batch_size=20, shuffle=True)
generator = nn.Sequential(nn.Linear(4, 24), nn.ReLU(), nn.Linear(24, 2))
critics = nn.ModuleList([critic() for _ in range(CRITICS)])
slow = torch.optim.Adam(generator.parameters(), lr=1e-3)
fast = torch.optim.Adam(critics.parameters(), lr=1e-3)
bce = nn.BCEWithLogitsLoss()

for epoch in range(3):
    for index, (real,) in enumerate(loader):
        fake = generator(torch.randn(len(real), 4))
        fast.zero_grad()
        judged = [(one(real), one(fake.detach())) for one in critics]
        good, bad = torch.ones(len(real), 1), torch.zeros(len(real), 1)
        loss = sum(bce(r, good) + bce(f, bad) for r, f in judged)
        loss.backward()
        fast.step()
        slow.zero_grad()
        loss_g = sum(bce(one(fake), good) for one in critics)
        loss_g = loss_g / len(critics)
        loss_g.backward()
        if (index + 1) % CRITICS == 0:
            slow.step()
    print(epoch, loss.item(), loss_g.item())
