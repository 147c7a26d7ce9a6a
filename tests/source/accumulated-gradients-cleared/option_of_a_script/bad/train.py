"""Prices of flats from a table, with the batch that the paper used on a machine with less memory."""

import argparse
import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=10)
    parser.add_argument("--accumulate", type=int, default=3, help="batches for one step")
    parser.add_argument("--lr", type=float, default=0.02)
    return parser.parse_args()


def table(rows=240):
    features = torch.randn(rows, 9)
    prices = features @ torch.linspace(-1, 1, 9) + 0.1 * torch.randn(rows)
    return TensorDataset(features, prices)


def train_one_epoch(net, loader, optimizer, accumulate):
    net.train()
    seen = 0.0
    for i, (features, prices) in enumerate(loader):
        optimizer.zero_grad()
        guesses = net(features).squeeze(1)
        loss = F.smooth_l1_loss(guesses, prices) / accumulate
        loss.backward()
        seen += loss.item() * accumulate
        is_last = i + 1 == len(loader)
        if (i + 1) % accumulate == 0 or is_last:
            nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            optimizer.step()
    return seen / len(loader)


@torch.no_grad()
def error(net, loader):
    net.eval()
    squares = [F.mse_loss(net(x).squeeze(1), y, reduction="sum").item() for x, y in loader]
    return math.sqrt(sum(squares) / len(loader.dataset))


def main():
    args = arguments()
    torch.manual_seed(11)
    train, held_out = random_split(table(), [200, 40])
    train_loader = DataLoader(train, batch_size=args.batch_size, shuffle=True)
    test_loader = DataLoader(held_out, batch_size=40)
    net = nn.Sequential(nn.Linear(9, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=args.lr, momentum=0.9)
    for epoch in range(args.epochs):
        loss = train_one_epoch(net, train_loader, optimizer, args.accumulate)
        print(f"{epoch}: loss {loss:.3f}, error {error(net, test_loader):.3f}")


if __name__ == "__main__":
    main()
