import argparse

import torch
from torch import nn, optim
from torch.utils.data import DataLoader

from windows import WearDataset, simulate_machine


class WearRegressor(nn.Module):
    def __init__(self, channels, hidden, dropout):
        super().__init__()
        self.inp = nn.Linear(channels, hidden)
        self.act = nn.SiLU()
        self.drop = nn.Dropout(dropout)
        self.out = nn.Linear(hidden, 1)

    def forward(self, x):
        return self.out(self.drop(self.act(self.inp(x))))


def get_args():
    parser = argparse.ArgumentParser(description="regress the wear of a machine")
    parser.add_argument("--hours", type=int, default=500)
    parser.add_argument("--channels", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=20)
    return parser.parse_args()


def validate(model, loader):
    model.eval()
    errors = []
    with torch.inference_mode():
        for reading, target in loader:
            errors.append((model(reading) - target).abs().mean().item())
    model.train()
    return sum(errors) / len(errors)


if __name__ == "__main__":
    args = get_args()
    torch.manual_seed(13)
    signal, wear = simulate_machine(args.hours, args.channels)
    border = int(args.hours * 0.8)
    loaders = {
        "train": DataLoader(WearDataset(signal, wear, 0, border), args.batch_size, shuffle=True),
        "valid": DataLoader(WearDataset(signal, wear, border), args.batch_size),
    }
    model = WearRegressor(args.channels, 16, 0.1)
    optimizer = optim.AdamW(model.parameters(), lr=1e-2)
    criterion = nn.HuberLoss()
    for epoch in range(args.epochs):
        for reading, target in loaders["train"]:
            loss = criterion(model(reading), target)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        print(f"{epoch}: mean absolute error {validate(model, loaders['valid']):.4f}")
