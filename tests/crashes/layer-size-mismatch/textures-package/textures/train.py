from __future__ import annotations

import argparse
import logging

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from textures import nets
from textures.patterns import KINDS, make_split

log = logging.getLogger("textures")


def loader(n: int, seed: int, batch: int, shuffle: bool) -> DataLoader:
    images, labels = make_split(n, 24, seed)
    dataset = TensorDataset(torch.from_numpy(images), torch.from_numpy(labels))
    return DataLoader(dataset, batch_size=batch, shuffle=shuffle)


@torch.inference_mode()
def accuracy(net: nn.Module, batches: DataLoader) -> float:
    net.eval()
    right = [(net(x).argmax(1) == y).float().mean() for x, y in batches]
    return torch.stack(right).mean().item()


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--net", choices=sorted(nets.REGISTRY), default="plain")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--lr", type=float, default=0.02)
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s")

    torch.manual_seed(1234)
    train, test = loader(256, 0, 32, True), loader(96, 1, 48, False)
    net = nets.create(args.net, len(KINDS))
    log.info("%s, %d parameters", args.net, sum(p.numel() for p in net.parameters()))
    sgd = torch.optim.SGD(net.parameters(), lr=args.lr, momentum=0.9, nesterov=True)
    for epoch in range(args.epochs):
        net.train()
        for x, y in train:
            sgd.zero_grad()
            nn.functional.cross_entropy(net(x), y).backward()
            sgd.step()
        log.info("epoch %d accuracy %.3f", epoch, accuracy(net, test))


if __name__ == "__main__":
    main()
