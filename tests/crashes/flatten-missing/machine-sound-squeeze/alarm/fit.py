import argparse
import sys

import torch
from torch import nn
from torch.utils.data import DataLoader

from .audio import machine_sounds
from .net import AlarmNet


def train_epoch(net, loader, loss_fn, optimizer):
    net.train()
    for sound, broken in loader:
        loss = loss_fn(net(sound), broken)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


@torch.no_grad()
def validate(net, loader, loss_fn):
    net.eval()
    loss_sum, hits, seen = 0.0, 0, 0
    for sound, broken in loader:
        logit = net(sound)
        loss_sum += loss_fn(logit, broken).item() * broken.numel()
        hits += ((logit > 0) == broken.bool()).sum().item()
        seen += broken.numel()
    return loss_sum / seen, hits / seen


def main(argv=None):
    cli = argparse.ArgumentParser(prog="alarm")
    cli.add_argument("--batch", type=int, default=32)
    cli.add_argument("--epochs", type=int, default=2)
    cli.add_argument("--lr", type=float, default=3e-3)
    cli.add_argument("--train-size", type=int, default=320)
    cli.add_argument("--valid-size", type=int, default=97)
    opts = cli.parse_args(argv)

    torch.manual_seed(8)
    train_loader = DataLoader(machine_sounds(opts.train_size, seed=1), opts.batch, shuffle=True)
    valid_loader = DataLoader(machine_sounds(opts.valid_size, seed=2), opts.batch)
    net = AlarmNet()
    loss_fn = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(1.5))
    optimizer = torch.optim.Adam(net.parameters(), lr=opts.lr)
    for epoch in range(opts.epochs):
        train_loss = train_epoch(net, train_loader, loss_fn, optimizer)
        valid_loss, acc = validate(net, valid_loader, loss_fn)
        print(f"{epoch} train {train_loss:.3f} valid {valid_loss:.3f} acc {acc:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
