"""A generator is sampled in training mode, as its authors do it."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
generator = nn.Sequential(
    nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 2)
)
discriminator = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
g_optimizer = torch.optim.Adam(generator.parameters(), lr=2e-4)
d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=2e-4)
bce = nn.BCEWithLogitsLoss()
fixed = torch.randn(16, 4)
loader = DataLoader(TensorDataset(torch.randn(64, 2) + 2), batch_size=16)
samples = []


def reset_grad():
    d_optimizer.zero_grad()
    g_optimizer.zero_grad()


for epoch in range(2):
    for (real,) in loader:
        ones, zeros = torch.ones(len(real), 1), torch.zeros(len(real), 1)
        fake = generator(torch.randn(len(real), 4))
        d_loss = bce(discriminator(real), ones) + bce(discriminator(fake), zeros)
        reset_grad()
        d_loss.backward()
        d_optimizer.step()

        fake = generator(torch.randn(len(real), 4))
        g_loss = bce(discriminator(fake), ones)
        reset_grad()
        g_loss.backward()
        g_optimizer.step()
    samples.append(generator(fixed).detach().mean().item())
print(samples)
