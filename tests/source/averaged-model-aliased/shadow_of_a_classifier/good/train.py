"""A classifier of noisy points, judged by the moving average of its weights."""

import argparse
import copy

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def points(count):
    places = torch.randn(count, 2) * 2
    classes = (places[:, 0] * places[:, 1] > 0).long()
    noise = torch.rand(count) < 0.1
    return TensorDataset(places, torch.where(noise, 1 - classes, classes))


class Shadow:
    """Weights that follow those of a model slowly."""

    def __init__(self, model, decay):
        self.module = copy.deepcopy(model)
        self.decay = decay

    @torch.no_grad()
    def update(self, model):
        for slow, fast in zip(self.module.parameters(), model.parameters()):
            slow.data.mul_(self.decay).add_(fast.data, alpha=1 - self.decay)


@torch.no_grad()
def accuracy(model, data):
    model.eval()
    places, classes = data.tensors
    right = (model(places).argmax(dim=1) == classes).float().mean().item()
    model.train()
    return right


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--decay", type=float, default=0.98)
    options = parser.parse_args()
    torch.manual_seed(7)
    train, test = points(320), points(160)
    loader = DataLoader(train, batch_size=32, shuffle=True)
    model = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 2))
    shadow = Shadow(model, options.decay)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for epoch in range(options.epochs):
        for places, classes in loader:
            loss = F.cross_entropy(model(places), classes)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            shadow.update(model)
        print(epoch, f"{accuracy(shadow.module, test):.3f}")


main()
