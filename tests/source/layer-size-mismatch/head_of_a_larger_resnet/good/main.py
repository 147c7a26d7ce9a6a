import argparse

import torch
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset

from models import resnet_tiny


def get_loaders(batch_size):
    labels = torch.arange(80) % 5
    images = torch.randn(80, 3, 24, 24) + labels.view(-1, 1, 1, 1) / 5
    train = TensorDataset(images[:60], labels[:60])
    test = TensorDataset(images[60:], labels[60:])
    return DataLoader(train, batch_size, shuffle=True), DataLoader(test, batch_size)


def train(net, loader, optimizer, criterion):
    net.train()
    for inputs, targets in loader:
        optimizer.zero_grad()
        outputs = net(inputs)
        loss = criterion(outputs, targets)
        loss.backward()
        optimizer.step()


@torch.no_grad()
def test(net, loader):
    net.eval()
    correct = total = 0
    for inputs, targets in loader:
        predicted = net(inputs).argmax(1)
        total += targets.size(0)
        correct += predicted.eq(targets).sum().item()
    return correct / total


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="a small residual network")
    parser.add_argument("--lr", default=0.05, type=float)
    parser.add_argument("--batch-size", default=20, type=int)
    parser.add_argument("--epochs", default=1, type=int)
    args = parser.parse_args()

    torch.manual_seed(0)
    train_loader, test_loader = get_loaders(args.batch_size)
    net = resnet_tiny(num_classes=5)
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.SGD(net.parameters(), lr=args.lr, momentum=0.9, weight_decay=5e-4)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=args.epochs)
    for epoch in range(args.epochs):
        train(net, train_loader, optimizer, criterion)
        print(epoch, test(net, test_loader))
        scheduler.step()
