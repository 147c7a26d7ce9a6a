import os
import random
import tempfile

import torch
import torch.nn as nn
from torch.utils.data import DataLoader

from pipeline import HouseDataset, read_registry, write_registry


def split(records, share, seed):
    numbers = [int(record["house"]) for record in records]
    random.Random(seed).shuffle(numbers)
    border = int(len(numbers) * share)
    return numbers[:border], numbers[border:]


def evaluate(model, loader):
    model.eval()
    total = 0.0
    with torch.no_grad():
        for x, y in loader:
            total += (model(x).squeeze(1) - y).abs().sum().item()
    return total / len(loader.dataset)


def main():
    torch.manual_seed(3)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "registry.csv")
        write_registry(path, houses=360, seed=3)
        records = read_registry(path)
    train_numbers, test_numbers = split(records, 0.75, seed=4)
    train_loader = DataLoader(HouseDataset(records, train_numbers), batch_size=30, shuffle=True)
    test_loader = DataLoader(HouseDataset(records, test_numbers), batch_size=30)

    model = nn.Sequential(nn.Linear(3, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=3, gamma=0.5)
    for epoch in range(5):
        model.train()
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(x).squeeze(1), y)
            loss.backward()
            optimizer.step()
        scheduler.step()
        print(f"epoch {epoch}: off by {evaluate(model, test_loader):.3f} MWh")


if __name__ == "__main__":
    main()
