"""The scores of a network whose layers are switched to evaluation one by one, through their attribute."""

import torch
from torch import nn

torch.manual_seed(9)
inputs = torch.randn(64, 6)
labels = inputs.sum(dim=1).gt(0).long()


def fit():
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.4), nn.Linear(16, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in zip(inputs.split(16), labels.split(16)):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model


def score(model):
    return (model(inputs).argmax(dim=1) == labels).float().mean().item()


def main():
    model = fit()
    model.apply(lambda part: setattr(part, "training", False))
    print(torch.no_grad()(score)(model))

    other = fit()
    for part in other.modules():
        part.training = False
    with torch.no_grad():
        print(score(other))


main()
