"""One classifier, scored with gradients off in every way but the usual `with`."""

from contextlib import ContextDecorator, ExitStack, contextmanager

import torch
from torch import nn
from torch.autograd import grad_mode

torch.manual_seed(5)
inputs = torch.randn(96, 6)
labels = (inputs[:, 0] > 0).long()
model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))


def train(epochs=3):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    model.train()
    for _ in range(epochs):
        for x, y in zip(inputs.split(16), labels.split(16)):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
    model.eval()


def entered():
    off, hits = torch.no_grad(), 0
    off.__enter__()
    for x, y in zip(inputs.split(16), labels.split(16)):
        hits += (model(x).argmax(dim=1) == y).sum().item()
    off.__exit__(None, None, None)
    return hits


def switched_by_the_old_name():
    hits = 0
    torch.autograd.set_grad_enabled(False)
    for x, y in zip(inputs.split(16), labels.split(16)):
        hits += (model(x).argmax(dim=1) == y).sum().item()
    torch.autograd.set_grad_enabled(True)
    return hits


def switched_below():
    hits = 0
    torch._C._set_grad_enabled(False)
    for x, y in zip(inputs.split(16), labels.split(16)):
        hits += (model(x).argmax(dim=1) == y).sum().item()
    torch._C._set_grad_enabled(True)
    return hits


def stacked():
    hits = 0
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode())
        for x, y in zip(inputs.split(16), labels.split(16)):
            hits += (model(x).argmax(dim=1) == y).sum().item()
    return hits


@contextmanager
def without_gradients():
    before = torch.is_grad_enabled()
    torch.set_grad_enabled(False)
    try:
        yield
    finally:
        torch.set_grad_enabled(before)


@without_gradients()
def decorated():
    hits = 0
    for x, y in zip(inputs.split(16), labels.split(16)):
        hits += (model(x).argmax(dim=1) == y).sum().item()
    return hits


class Frozen(ContextDecorator):
    def __enter__(self):
        self.inner = grad_mode.no_grad()
        self.inner.__enter__()
        return self

    def __exit__(self, *error):
        self.inner.__exit__(*error)


@Frozen()
def decorated_by_an_instance():
    hits = 0
    for x, y in zip(inputs.split(16), labels.split(16)):
        hits += (model(x).argmax(dim=1) == y).sum().item()
    return hits


@torch.set_grad_enabled(False)
def decorated_by_the_switch():
    hits = 0
    for x, y in zip(inputs.split(16), labels.split(16)):
        hits += (model(x).argmax(dim=1) == y).sum().item()
    return hits


def plain():
    hits = 0
    for x, y in zip(inputs.split(16), labels.split(16)):
        hits += (model(x).argmax(dim=1) == y).sum().item()
    return hits


if __name__ == "__main__":
    train()
    scores = [entered(), switched_by_the_old_name(), switched_below(), stacked(), decorated()]
    scores += [decorated_by_an_instance(), decorated_by_the_switch(), torch.no_grad()(plain)()]
    train()  # gradients are on again
    print(scores)
