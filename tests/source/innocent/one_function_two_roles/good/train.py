"""One function trains if it gets an optimizer, and evaluates if it gets none."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def run_epoch(model, loader, criterion, optimizer=None):
    is_training = optimizer is not None
    model.train(is_training)
    total = 0.0
    with torch.set_grad_enabled(is_training):
        for x, y in loader:
            loss = criterion(model(x), y)
            if is_training:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            total += loss.item() * len(x)
    return total / len(loader.dataset)


def main():
    torch.manual_seed(0)
    x, y = torch.randn(120, 6), torch.randint(0, 3, (120,))
    train_loader = DataLoader(TensorDataset(x[:90], y[:90]), batch_size=15, shuffle=True)
    val_loader = DataLoader(TensorDataset(x[90:], y[90:]), batch_size=15)
    model = nn.Sequential(nn.Linear(6, 20), nn.BatchNorm1d(20), nn.ReLU(), nn.Linear(20, 3))
    optimizer = torch.optim.Adam(model.parameters())
    criterion = nn.CrossEntropyLoss()
    for epoch in range(3):
        train_loss = run_epoch(model, train_loader, criterion, optimizer)
        val_loss = run_epoch(model, val_loader, criterion)
        print(epoch, train_loss, val_loss)


main()
