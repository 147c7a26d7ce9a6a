from __future__ import annotations

import argparse

import torch
from torch import Tensor, nn
from torch.autograd import Variable
from torch.utils.data import DataLoader, TensorDataset


def build(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Linear(width, 2))


class Trainer:
    """Trains on the share of wrong answers itself."""

    def __init__(self, net: nn.Module, loader: DataLoader, rate: float) -> None:
        self.net = net
        self.loader = loader
        self.optimizer = torch.optim.SGD(net.parameters(), lr=rate, momentum=0.9)

    def error(self, points: Tensor, sides: Tensor) -> Tensor:
        answers = self.net(points).argmax(dim=1)
        wrong = (answers != sides).float()
        return Variable(wrong.mean(), requires_grad=True)

    def epoch(self) -> float:
        total = 0.0
        for points, sides in self.loader:
            self.optimizer.zero_grad()
            loss = self.error(points, sides)
            (loss / 2).backward()
            self.optimizer.step()
            total += loss.item()
        return total / len(self.loader)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rate", type=float, default=0.05)
    options = parser.parse_args()
    torch.manual_seed(2)
    points = torch.randn(96, 3)
    sides = (points.sum(dim=1) > 0).long()
    loader = DataLoader(TensorDataset(points, sides), batch_size=16, shuffle=True)
    trainer = Trainer(build(8), loader, options.rate)
    for epoch in range(options.epochs):
        print(epoch, trainer.epoch())


if __name__ == "__main__":
    main()
