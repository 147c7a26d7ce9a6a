"""An autoencoder that takes the noise off short signals."""

import argparse

import torch
from torch import nn, optim
from torch.utils.data import DataLoader


def signals(count, length):
    time = torch.linspace(0, 1, length)
    pitch = 2 + 6 * torch.rand(count, 1)
    return torch.sin(6.28 * pitch * time)


def run(args):
    torch.manual_seed(args.seed)
    loader = DataLoader(signals(128, 32), batch_size=args.batch, shuffle=True)
    held_out = signals(32, 32)
    net = nn.Sequential(nn.Linear(32, 12), nn.Tanh(), nn.Linear(12, 32))
    optimizer = optim.SGD(net.parameters(), lr=args.rate, momentum=0.9)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=args.epochs, eta_min=1e-4)
    for epoch in range(args.epochs):
        total = 0.0
        for clean in loader:
            noisy = clean + 0.1 * torch.randn_like(clean)
            loss = nn.functional.mse_loss(net(noisy), clean)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        schedule.step()
        with torch.no_grad():
            error = nn.functional.mse_loss(net(held_out), held_out)
        print(epoch, round(total / len(loader), 4), round(error.item(), 4))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    run(parser.parse_args())
