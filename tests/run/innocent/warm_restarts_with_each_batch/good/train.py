"""Cycles of a few batches are meant: a snapshot is taken at the end of each."""

import copy

import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts, CyclicLR
from torch.utils.data import DataLoader, TensorDataset


def fit(loader, schedule_of, epochs):
    model = nn.Sequential(nn.Linear(3, 24), nn.ReLU(), nn.Linear(24, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    schedule = schedule_of(optimizer)
    members, lowest = [], schedule.get_last_lr()[0]
    for _ in range(epochs):
        for features, wanted in loader:
            loss = nn.functional.mse_loss(model(features), wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            rate = schedule.get_last_lr()[0]
            if rate > lowest:
                members.append(copy.deepcopy(model).eval())
            lowest = rate
    return members


def main():
    torch.manual_seed(2)
    features = torch.rand(128, 3)
    data = TensorDataset(features, (features**2).sum(dim=1, keepdim=True))
    loader = DataLoader(data, batch_size=16, shuffle=True)
    restarts = fit(loader, lambda o: CosineAnnealingWarmRestarts(o, T_0=4), epochs=4)
    cyclic = fit(loader, lambda o: CyclicLR(o, 0.01, 0.1, step_size_up=4), epochs=4)
    with torch.no_grad():
        for members in (restarts, cyclic):
            mean = torch.stack([member(features) for member in members]).mean(dim=0)
            print(len(members), mean.std().item())


main()
