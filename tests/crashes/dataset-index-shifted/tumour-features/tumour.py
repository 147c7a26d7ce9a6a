import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_breast_cancer
from torch.utils.data import DataLoader, Dataset, Subset


def set_seed(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


class TumourDataset(Dataset):
    def __init__(self, standardise=True):
        bunch = load_breast_cancer()
        self.features = torch.tensor(bunch.data, dtype=torch.float32)
        self.diagnosis = torch.tensor(bunch.target, dtype=torch.long)
        if standardise:
            self.features -= self.features.mean(0)
            self.features /= self.features.std(0)

    def __len__(self):
        return len(self.diagnosis)

    def __getitem__(self, index):
        x = self.features[index + 1]
        y = self.diagnosis[index]
        return x, y


class Net(nn.Module):
    def __init__(self, widths):
        super(Net, self).__init__()
        layers = []
        for before, after in zip(widths[:-2], widths[1:-1]):
            layers.append(nn.Linear(before, after))
            layers.append(nn.ReLU())
        layers.append(nn.Linear(widths[-2], widths[-1]))
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return F.log_softmax(self.layers(x), dim=1)


def train_one_epoch(net, loader, optimizer):
    net.train()
    total = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.nll_loss(net(x), y)
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total / len(loader)


def accuracy(net, loader):
    net.eval()
    hits, n = 0, 0
    with torch.no_grad():
        for x, y in loader:
            hits += (net(x).argmax(1) == y).sum().item()
            n += y.numel()
    return hits / n


def main():
    set_seed(7)
    data = TumourDataset()
    shuffled = np.random.permutation(len(data)).tolist()
    train_part, test_part = Subset(data, shuffled[:455]), Subset(data, shuffled[455:])
    train_loader = DataLoader(train_part, batch_size=32, shuffle=True)
    test_loader = DataLoader(test_part, batch_size=64)
    net = Net([30, 24, 12, 2])
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    for epoch in range(4):
        loss = train_one_epoch(net, train_loader, optimizer)
        print("epoch", epoch, "loss", round(loss, 4), "accuracy", accuracy(net, test_loader))


main()
