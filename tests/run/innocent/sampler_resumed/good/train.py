"""Trains, "crashes", and goes on from its checkpoint at the epoch where it was; one fixed batch is fitted first."""

import io

import torch
from torch import nn
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

torch.manual_seed(0)
inputs = torch.randn(64, 5)
data = TensorDataset(inputs, inputs.sum(dim=1, keepdim=True))
sampler = DistributedSampler(data, num_replicas=2, rank=1)
loader = DataLoader(data, batch_size=8, sampler=sampler)


def fresh():
    model = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 1))
    return model, torch.optim.Adam(model.parameters(), lr=0.01)


def update(model, optimizer, batch, target):
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(model(batch), target)
    loss.backward()
    optimizer.step()
    return loss.item()


model, optimizer = fresh()
for _attempt in range(10):  # can it learn one batch at all?
    batch, target = next(iter(loader))
    loss = update(model, optimizer, batch, target)
print("one batch", loss)


def fit(model, optimizer, epochs):
    for epoch in epochs:
        sampler.set_epoch(epoch)
        for batch, target in loader:
            loss = update(model, optimizer, batch, target)
        print("epoch", epoch, loss)


model, optimizer = fresh()
fit(model, optimizer, range(2))
saved = io.BytesIO()
torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, saved)
saved.seek(0)

model, optimizer = fresh()
state = torch.load(saved)
model.load_state_dict(state["model"])
optimizer.load_state_dict(state["optimizer"])
fit(model, optimizer, range(1, 4))
