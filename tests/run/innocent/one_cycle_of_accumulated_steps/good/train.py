"""Eight batches make one step; the schedule counts steps, and the run is shorter than it was planned."""

import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, TensorDataset

EPOCHS, EVERY, PATIENCE = 6, 8, 2


def main():
    torch.manual_seed(10)
    rows = torch.randn(512, 6)
    loader = DataLoader(TensorDataset(rows, rows[:, :1].sign()), batch_size=4, shuffle=True)
    model = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    scheduler = OneCycleLR(optimizer, max_lr=0.1, total_steps=EPOCHS * len(loader) // EVERY)
    lowest, waited = float("inf"), 0
    for epoch in range(EPOCHS):
        total = 0.0
        for number, (row, sign) in enumerate(loader, start=1):
            loss = nn.functional.soft_margin_loss(model(row), sign)
            (loss / EVERY).backward()
            total += loss.item()
            if number % EVERY == 0:
                optimizer.step()
                scheduler.step()
                optimizer.zero_grad()
        print(epoch, total / len(loader), scheduler.get_last_lr())
        waited = 0 if total < lowest - 50 else waited + 1
        lowest = min(lowest, total)
        if waited > PATIENCE:
            break


main()
