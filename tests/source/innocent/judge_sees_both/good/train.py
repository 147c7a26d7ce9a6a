"""Noise is taken out of signals, and what a random net makes of them is compared: that net stays as it is."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
clean = torch.sin(torch.linspace(0, 6, 40) * (1 + torch.rand(160, 1))).unsqueeze(1)
loader = DataLoader(TensorDataset(clean), batch_size=20, shuffle=True)
cleaner = nn.Sequential(nn.Conv1d(1, 8, 5, padding=2), nn.ReLU(), nn.Conv1d(8, 1, 5, padding=2))
head = nn.Sequential(nn.Conv1d(1, 12, 7), nn.ReLU(), nn.Conv1d(12, 12, 7, stride=2))
optimizer = torch.optim.Adam(cleaner.parameters(), lr=0.005)
for epoch in range(4):
    for (signal,) in loader:
        cleaned = cleaner(signal + 0.2 * torch.randn_like(signal))
        loss = nn.functional.mse_loss(head(cleaned), head(signal).detach())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
