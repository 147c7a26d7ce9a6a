import argparse

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader

from clips import GestureClips, record_session


class GestureNet(nn.Module):
    def __init__(self, sensors, hidden, classes):
        super().__init__()
        self.rnn = nn.GRU(sensors, hidden, batch_first=True)
        self.head = nn.Linear(hidden, classes)

    def forward(self, clips):
        _, last = self.rnn(clips)
        return self.head(last[-1])


def train(args):
    torch.manual_seed(args.seed)
    frames, labels = record_session(args.clips, args.k, args.sensors, args.seed)
    dataset = GestureClips(frames, labels, args.k)
    loader = DataLoader(dataset, batch_size=args.batch, num_workers=args.workers)
    net = GestureNet(args.sensors, 20, 3)
    opt = torch.optim.RMSprop(net.parameters(), lr=5e-3)
    for epoch in range(args.epochs):
        total, count = 0.0, 0
        for clips, gestures in loader:
            opt.zero_grad()
            loss = F.cross_entropy(net(clips), gestures)
            loss.backward()
            opt.step()
            total += loss.item() * len(clips)
            count += len(clips)
        print("epoch %d  clips %d  loss %.4f" % (epoch, count, total / count))


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--clips", type=int, default=120)
    p.add_argument("--k", type=int, default=12)
    p.add_argument("--sensors", type=int, default=6)
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--epochs", type=int, default=2)
    p.add_argument("--workers", type=int, default=2)
    p.add_argument("--seed", type=int, default=5)
    train(p.parse_args())
