import argparse

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def prices(size):
    rooms = torch.randn(size, 5)
    return TensorDataset(rooms, rooms @ torch.tensor([[2.0], [1.0], [0.0], [-1.0], [0.5]]))


def main(options):
    accelerator = Accelerator(cpu=True)
    set_seed(options.seed)
    model = nn.Sequential(nn.Linear(5, 24), nn.ReLU(), nn.Linear(24, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=options.lr)
    loader = DataLoader(prices(240), batch_size=options.batch_size, shuffle=True)
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    model.train()
    for epoch in range(options.epochs):
        total = 0.0
        for rooms, price in loader:
            loss = nn.functional.mse_loss(model(rooms), price)
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            total += loss.item()
        accelerator.print(epoch, total / len(loader))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=12)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=1)
    main(parser.parse_args())
