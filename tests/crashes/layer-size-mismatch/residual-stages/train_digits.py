import time

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, Subset, TensorDataset

from resnet import TinyResNet


def get_loaders(batch_size, n_train=1024):
    bunch = load_digits()
    x = torch.as_tensor(bunch.images, dtype=torch.float32)[:, None] / 8 - 1
    y = torch.as_tensor(bunch.target, dtype=torch.int64)
    everything = TensorDataset(x, y)
    order = torch.randperm(len(everything)).tolist()
    train = Subset(everything, order[:n_train])
    test = Subset(everything, order[n_train:])
    return DataLoader(train, batch_size, shuffle=True), DataLoader(test, 128)


def train_one_epoch(model, loader, optimizer, scheduler, criterion):
    model.train()
    total = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        scheduler.step()
        total += loss.item() * y.numel()
    return total / len(loader.dataset)


def evaluate(model, loader):
    model.eval()
    right = 0
    with torch.no_grad():
        for x, y in loader:
            right += model(x).argmax(dim=1).eq(y).sum().item()
    return right / len(loader.dataset)


def main():
    torch.manual_seed(99)
    epochs = 2
    train_loader, test_loader = get_loaders(batch_size=64)
    model = TinyResNet(in_channels=1, n_classes=10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    scheduler = OneCycleLR(optimizer, 0.05, epochs=epochs, steps_per_epoch=len(train_loader))
    criterion = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        began = time.perf_counter()
        loss = train_one_epoch(model, train_loader, optimizer, scheduler, criterion)
        acc = evaluate(model, test_loader)
        print(f"{epoch}  {loss:.3f}  {acc:.3f}  ({time.perf_counter() - began:.1f} s)")


if __name__ == "__main__":
    main()
