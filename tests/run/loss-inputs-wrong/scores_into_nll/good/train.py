import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F


class SmallNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.fc = nn.Linear(4 * 4 * 4, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv(x)), 2)
        return self.fc(x.flatten(1))


def fake_digits(count, classes):
    digits = torch.randint(0, classes, (count,))
    images = torch.rand(count, 1, 8, 8) * 0.2
    for row, digit in enumerate(digits.tolist()):
        images[row, 0, digit % 8] += 1.0
    return images, digits


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--classes", type=int, default=5)
    args = parser.parse_args([])
    torch.manual_seed(0)
    net = SmallNet(args.classes)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    images, digits = fake_digits(64, args.classes)
    for epoch in range(args.epochs):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(images), digits)
        loss.backward()
        optimizer.step()
        print(epoch, round(loss.item(), 4))


main()
