"""Decorators and managers of the user's own switch gradients and modes."""

import functools

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def inference(function):
    @functools.wraps(function)
    def wrapper(model, *args, **kwargs):
        was_training = model.training
        model.eval()
        with torch.inference_mode():
            result = function(model, *args, **kwargs)
        model.train(was_training)
        return result

    return wrapper


class EvalMode:
    def __init__(self, model):
        self.model = model

    def __enter__(self):
        self.previous = torch.is_grad_enabled()
        torch.set_grad_enabled(False)
        self.model.train(False)
        return self.model

    def __exit__(self, *error):
        torch.set_grad_enabled(self.previous)
        self.model.train(True)


@inference
def accuracy(model, loader):
    hits = 0
    for x, y in loader:
        hits += (model(x).argmax(1) == y).sum().item()
    return hits / len(loader.dataset)


def test_loss(model, loader):
    with EvalMode(model) as net:
        return sum(nn.functional.cross_entropy(net(x), y).item() for x, y in loader)


torch.manual_seed(0)
loader = DataLoader(TensorDataset(torch.randn(60, 5), torch.randint(0, 2, (60,))), batch_size=12)
model = nn.Sequential(nn.Linear(5, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.AdamW(model.parameters())
for epoch in range(2):
    for x, y in loader:
        optimizer.zero_grad(set_to_none=False)
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    print(epoch, accuracy(model, loader), test_loss(model, loader))
