"""Gradients of four batches are summed; groups are cleared where they begin, and bad batches are left out."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

GROUP = 4


def train(model, loader, optimizer, epochs):
    criterion = nn.MSELoss()
    skipped = 0
    for epoch in range(epochs):
        shown = 0.0
        for index, (inputs, targets) in enumerate(loader):
            if index % GROUP == 0:
                optimizer.zero_grad()
            loss = criterion(model(inputs), targets) / GROUP
            if not torch.isfinite(loss):
                skipped += 1
                optimizer.zero_grad()
                continue
            loss.backward()
            shown += loss.item()
            if (index + 1) % GROUP == 0 or index + 1 == len(loader):
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
        print(epoch, shown / len(loader) * GROUP, skipped)


if __name__ == "__main__":
    torch.manual_seed(0)
    inputs = torch.randn(144, 6)
    targets = inputs.prod(dim=1, keepdim=True)
    inputs[5] = torch.nan
    loader = DataLoader(TensorDataset(inputs, targets), batch_size=8, shuffle=True)
    model = nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 1))
    train(model, loader, torch.optim.Adam(model.parameters(), lr=0.01), 4)
