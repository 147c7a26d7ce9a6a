import argparse
import logging

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, random_split

from vision.camera import CLASSES, album
from vision.dataset import AlbumDataset
from vision.nets.small import make_net

log = logging.getLogger("shapes")


def parse(argv=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=240)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--widths", type=int, nargs="+", default=[8, 16])
    parser.add_argument("--workers", type=int, default=0)
    return parser.parse_args(argv)


def main():
    args = parse()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.manual_seed(21)
    dataset = AlbumDataset(*album(args.count), flip=True)
    train, test = random_split(dataset, [0.8, 0.2])
    train_loader = DataLoader(train, 16, shuffle=True, num_workers=args.workers)
    test_loader = DataLoader(test, 16, num_workers=args.workers)
    net = make_net(3, args.widths, len(CLASSES))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    for epoch in range(args.epochs):
        net.train()
        for images, labels in train_loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(net(images), labels)
            loss.backward()
            optimizer.step()
        net.eval()
        with torch.no_grad():
            hits = sum((net(i).argmax(1) == k).sum().item() for i, k in test_loader)
        log.info("epoch %d: %d of %d recognised", epoch, hits, len(test))


if __name__ == "__main__":
    main()
