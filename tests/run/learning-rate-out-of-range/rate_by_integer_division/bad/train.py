import argparse

import torch
from torch import nn


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--step", type=int, default=5, help="learning rate in thousandths")
    parser.add_argument("--epochs", type=int, default=16)
    return parser.parse_args([])


def main():
    options = parse()
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 2))
    optimizer = torch.optim.Adam(net.parameters(), lr=options.step // 1000)
    inputs = torch.randn(40, 6)
    labels = (inputs.sum(dim=1) > 0).long()
    for epoch in range(options.epochs):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(inputs), labels)
        loss.backward()
        optimizer.step()
        print(epoch, loss.item())


main()
