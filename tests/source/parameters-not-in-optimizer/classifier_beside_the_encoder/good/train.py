"""Textures of two kinds: a small net computes features, a layer of its own tells them apart."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset, random_split


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--lr", type=float, default=1e-2)
    parser.add_argument("--width", type=int, default=8)
    return parser.parse_args()


def textures(count=200, size=10):
    kinds = torch.randint(0, 2, (count,))
    rows = torch.arange(size).view(1, 1, size, 1) % 2
    columns = torch.arange(size).view(1, 1, 1, size) % 2
    kind = kinds.view(-1, 1, 1, 1)
    pictures = torch.where(kind == 1, rows, columns) + 0.5 * torch.randn(count, 1, size, size)
    return TensorDataset(pictures, kinds)


def make_encoder(width):
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.AdaptiveMaxPool2d(2),
        nn.Flatten(),
    )


def train(encoder, classifier, loader, optimizer):
    encoder.train()
    classifier.train()
    for pictures, kinds in loader:
        optimizer.zero_grad()
        features = encoder(pictures)
        loss = F.cross_entropy(classifier(features), kinds)
        loss.backward()
        optimizer.step()
    return loss.item()


@torch.no_grad()
def accuracy(encoder, classifier, loader):
    encoder.eval()
    classifier.eval()
    right = sum((classifier(encoder(x)).argmax(1) == y).sum().item() for x, y in loader)
    return right / len(loader.dataset)


def main():
    args = parse()
    torch.manual_seed(2)
    known, unknown = random_split(textures(), [160, 40])
    encoder = make_encoder(args.width)
    classifier = nn.Linear(4 * args.width, 2)
    count = sum(p.numel() for p in encoder.parameters()) + sum(p.numel() for p in classifier.parameters())
    print(f"{count} parameters")
    optimizer = optim.Adam([*encoder.parameters(), *classifier.parameters()], lr=args.lr)
    for epoch in range(args.epochs):
        loss = train(encoder, classifier, DataLoader(known, 16, shuffle=True), optimizer)
        print(f"{epoch}: {loss:.3f}, {accuracy(encoder, classifier, DataLoader(unknown, 40)):.2f}")


if __name__ == "__main__":
    main()
