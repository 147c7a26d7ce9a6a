"""A scheduler by its name. The loop that gives no value is taken for all names but one, which has a loop of its own."""

import argparse

import torch
from torch import nn, optim


def build(name, optimizer, epochs):
    if name == "plateau":
        return optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
    if name == "cosine":
        return optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    return optim.lr_scheduler.StepLR(optimizer, 2)


def needs_value(name):
    return {"plateau": True}.get(name, False)


def run(name, epochs):
    torch.manual_seed(0)
    inputs, targets = torch.randn(48, 4), torch.randn(48, 1)
    model = nn.Linear(4, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    scheduler = build(name, optimizer, epochs)
    for _ in range(epochs):
        total = 0.0
        for start in range(0, 48, 16):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(
                model(inputs[start : start + 16]), targets[start : start + 16]
            )
            loss.backward()
            optimizer.step()
            total += loss.item()
        given = (total / 3,) if needs_value(name) else ()
        scheduler.step(*given)
    return optimizer.param_groups[0]["lr"]


class Adapter:
    """Schedulers of both kinds below one interface."""

    def __init__(self, make, optimizer):
        self.inner = make(optimizer)
        self.step_once = self.inner.step
        if isinstance(self.inner, optim.lr_scheduler.ReduceLROnPlateau):
            self.step_once = self._with_value
        self.value = 0.0

    def _with_value(self):
        self.inner.step(self.value)

    def step(self):
        self.step_once()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--schedule", default="cosine")
    parser.add_argument("--epochs", type=int, default=3)
    args = parser.parse_args()
    print(args.schedule, run(args.schedule, args.epochs))
    weight = nn.Parameter(torch.zeros(2))
    kinds = (optim.lr_scheduler.ReduceLROnPlateau, lambda o: optim.lr_scheduler.StepLR(o, 1))
    for make in kinds:
        optimizer = optim.SGD([weight], lr=1.0)
        adapter = Adapter(make, optimizer)
        optimizer.step()
        adapter.step()
        print(optimizer.param_groups[0]["lr"])
    chosen = optim.lr_scheduler.StepLR(optimizer, 1)
    if args.schedule == "linear":
        chosen = optim.lr_scheduler.LinearLR(optimizer)
    chosen.step()


if __name__ == "__main__":
    main()
