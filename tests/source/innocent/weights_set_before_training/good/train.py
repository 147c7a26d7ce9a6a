"""Convex problems, started from weights that are written down: two runs print the same, without any seed."""

import torch
from torch import nn

x = torch.linspace(-1, 1, 60).unsqueeze(1)
features = torch.cat([x, x**2, x**3], dim=1)
targets = 2 * x - x**3


def from_zero():
    model = nn.Linear(3, 1)
    nn.init.zeros_(model.weight)
    nn.init.constant_(model.bias, 0.1)
    return model


def through_data():
    model = nn.Linear(3, 1)
    model.weight.data.fill_(0.5)
    model.bias.data[:] = 0
    return model


def by_copying():
    model = nn.Linear(3, 1)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 0.0, -1.0]]))
        model.bias.detach().zero_()
    return model


def by_replacing():
    model = nn.Linear(3, 1)
    model.weight = nn.Parameter(torch.ones(1, 3))
    model.bias.data = torch.zeros(1)
    return model


def in_a_loop():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1))
    for parameter in model.parameters():
        nn.init.constant_(parameter, 0.2)
    return model


def by_applying():
    def diagonal(module):
        if isinstance(module, nn.Linear):
            nn.init.eye_(module.weight)
            nn.init.zeros_(module.bias)

    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1))
    model.apply(diagonal)
    return model


def from_a_table():
    model = nn.Linear(3, 1)
    model.load_state_dict({"weight": torch.full((1, 3), 0.3), "bias": torch.zeros(1)})
    return model


def from_its_own_generator():
    generator = torch.Generator().manual_seed(11)
    model = nn.Linear(3, 1)
    nn.init.normal_(model.weight, std=0.1, generator=generator)
    model.bias.data.uniform_(-0.1, 0.1, generator=generator)
    return model


def fit(model, steps=50):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(steps):
        loss = (model(features) - targets).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


STARTS = (
    from_zero,
    through_data,
    by_copying,
    by_replacing,
    in_a_loop,
    by_applying,
    from_a_table,
    from_its_own_generator,
)
if __name__ == "__main__":
    for start in STARTS:
        print(start.__name__, fit(start()))
