"""Stages are kept in a list for the loop and registered under their old names, so that checkpoints still fit."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Stages(nn.Module):
    def __init__(self, widths):
        super().__init__()
        self.stages = []
        for number, (before, after) in enumerate(zip(widths, widths[1:]), start=1):
            stage = nn.Sequential(nn.Linear(before, after), nn.ReLU())
            self.add_module(f"stage{number}", stage)
            self.stages.append(stage)
        self.out = nn.Linear(widths[-1], 2)

    def forward(self, x):
        found = []
        for stage in self.stages:
            x = stage(x)
            found.append(x.mean())
        return self.out(x), torch.stack(found)


torch.manual_seed(0)
model = Stages([10, 20, 20, 8])
optimizer = torch.optim.Adam(model.parameters())
data = TensorDataset(torch.randn(64, 10), torch.randint(0, 2, (64,)))
for epoch in range(2):
    for x, y in DataLoader(data, batch_size=16, shuffle=True):
        logits, means = model(x)
        loss = nn.functional.cross_entropy(logits, y) + 0.01 * means.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
