"""Accumulation over the parts of a batch, optimizers and schedulers in lists."""

import torch
from torch import nn

torch.manual_seed(0)
encoder, decoder = nn.Linear(6, 3), nn.Linear(3, 6)
optimizers = [
    torch.optim.SGD(encoder.parameters(), lr=0.05),
    torch.optim.Adam(decoder.parameters(), lr=0.01),
]
schedulers = [torch.optim.lr_scheduler.ExponentialLR(o, gamma=0.95) for o in optimizers]
data = torch.randn(96, 6)

for epoch in range(3):
    epoch_loss = 0.0
    for batch in data[torch.randperm(96)].split(32):
        for optimizer in optimizers:
            optimizer.zero_grad()
        parts = batch.chunk(4)
        for part in parts:
            loss = nn.functional.mse_loss(decoder(encoder(part)), part) / len(parts)
            loss.backward()
            epoch_loss += loss.item()
        for optimizer in optimizers:
            optimizer.step()
    for scheduler in schedulers:
        scheduler.step()
    print(epoch, epoch_loss / 3)
