"""A residual net for tabular data; how many blocks it has is an argument."""

import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1 = nn.Linear(width, 2 * width)
        self.fc2 = nn.Linear(2 * width, width)

    def forward(self, x):
        return x + self.fc2(torch.relu(self.fc1(x)))


class TabularNet(nn.Module):
    def __init__(self, columns, width, depth, classes):
        super().__init__()
        self.stem = nn.Linear(columns, width)
        self.blocks = nn.ModuleList()
        for _ in range(depth):
            self.blocks.append(Block(width))
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def train(model, loader, args):
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    for epoch in range(args.epochs):
        for rows, labels in loader:
            optimizer.zero_grad()
            loss = criterion(model(rows), labels)
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch} loss {loss.item():.3f}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--lr", type=float, default=1e-3)
    args = parser.parse_args()
    torch.manual_seed(0)
    table = TensorDataset(torch.randn(120, 14), torch.randint(0, 3, (120,)))
    loader = DataLoader(table, batch_size=40, shuffle=True)
    train(TabularNet(14, 32, args.depth, 3), loader, args)


if __name__ == "__main__":
    main()
