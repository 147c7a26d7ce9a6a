"""Denoising of short signals; gradients are accumulated over several batches."""

import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--accumulate", type=int, default=2)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=3)
    return parser.parse_args()


class Denoiser(nn.Module):
    def __init__(self, channels=8):
        super().__init__()
        self.encode = nn.Conv1d(1, channels, 5, padding=2)
        self.decode = nn.Conv1d(channels, 1, 5, padding=2)

    def forward(self, noisy):
        return noisy - self.decode(torch.relu(self.encode(noisy)))


def signals(count, length=32):
    phases = torch.rand(count, 1, 1) * 6.28
    clean = torch.sin(torch.linspace(0, 6.28, length) + phases)
    return TensorDataset(clean + 0.2 * torch.randn_like(clean), clean)


def main():
    args = parse()
    torch.manual_seed(args.seed)
    loader = DataLoader(signals(64), batch_size=args.batch_size, shuffle=True)
    model = Denoiser()
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    optimizer.zero_grad()
    for epoch in range(args.epochs):
        for step, (noisy, clean) in enumerate(loader, start=1):
            with torch.autocast("cpu", dtype=torch.float16):
                loss = nn.functional.mse_loss(model(noisy), clean) / args.accumulate
            loss.backward()
            if step % args.accumulate == 0 or step == len(loader):
                optimizer.step()
                optimizer.zero_grad()
        print(epoch, loss.item() * args.accumulate)


if __name__ == "__main__":
    main()
