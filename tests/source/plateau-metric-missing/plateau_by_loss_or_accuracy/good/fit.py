"""The learning rate follows the loss or the accuracy, as an option says."""

import argparse

import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau


def options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--follow", choices=("loss", "accuracy"), default="loss")
    parser.add_argument("--epochs", type=int, default=3)
    return parser.parse_args()


def make_scheduler(optimizer, follow):
    if follow == "accuracy":
        return ReduceLROnPlateau(optimizer, mode="max", patience=1)
    return ReduceLROnPlateau(optimizer, mode="min", patience=1)


def train_epoch(model, optimizer, inputs, labels):
    model.train()
    for start in range(0, len(inputs), 16):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(
            model(inputs[start : start + 16]), labels[start : start + 16]
        )
        loss.backward()
        optimizer.step()


@torch.no_grad()
def evaluate(model, inputs, labels):
    model.eval()
    scores = model(inputs)
    loss = nn.functional.cross_entropy(scores, labels).item()
    return {"loss": loss, "accuracy": (scores.argmax(dim=1) == labels).float().mean().item()}


def main():
    args = options()
    torch.manual_seed(0)
    inputs, labels = torch.randn(80, 5), torch.randint(0, 3, (80,))
    model = nn.Sequential(nn.Linear(5, 16), nn.Dropout(0.2), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = make_scheduler(optimizer, args.follow)
    for epoch in range(args.epochs):
        train_epoch(model, optimizer, inputs[:64], labels[:64])
        told = evaluate(model, inputs[64:], labels[64:])
        scheduler.step(told[args.follow])
        print(epoch, told["loss"], told["accuracy"])


if __name__ == "__main__":
    main()
