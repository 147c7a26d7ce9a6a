import argparse
import json
import os
import tempfile

import torch
from flats.data import Flats
from torch import nn
from torch.utils.data import DataLoader


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--lr", type=float, default=1e-2)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def write(path, count=96):
    rows = [
        {"area": 0.3 + (n % 13) / 10, "rooms": 1.0 + n % 4, "price": 0.5 * (n % 13) + n % 4}
        for n in range(count)
    ]
    with open(path, "w", encoding="utf-8") as file:
        json.dump(rows, file)


def main():
    args = parse()
    torch.manual_seed(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "flats.json")
        write(path)
        data = Flats(path)
    loader = DataLoader(data, batch_size=12, shuffle=True, drop_last=True)
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr)
    for epoch in range(args.epochs):
        for flats, prices in loader:
            loss = nn.functional.smooth_l1_loss(model(flats), prices)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(epoch, loss.item())


if __name__ == "__main__":
    main()
