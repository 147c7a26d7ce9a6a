"""Accumulation without synchronisation, and an evaluation of the model inside on one rank."""

from contextlib import nullcontext

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

ACCUMULATE = 2


def build(device="cpu"):
    body = nn.Sequential(nn.Linear(12, 24), nn.BatchNorm1d(24), nn.GELU(), nn.Linear(24, 3))
    return DistributedDataParallel(body.to(device))


def train_epoch(model, loader, optimizer):
    model.train()
    last = len(loader) - 1
    for index, (inputs, labels) in enumerate(loader):
        is_full = (index + 1) % ACCUMULATE == 0 or index == last
        with nullcontext() if is_full else model.no_sync():
            loss = nn.functional.cross_entropy(model(inputs), labels) / ACCUMULATE
            loss.backward()
        if is_full:
            optimizer.step()
            optimizer.zero_grad()


@torch.no_grad()
def accuracy(model, loader):
    model.eval()
    right = 0
    for inputs, labels in loader:
        right += (model(inputs).argmax(dim=1) == labels).sum().item()
    return right / len(loader.dataset)


torch.manual_seed(0)
dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
inputs = torch.randn(96, 12)
data = TensorDataset(inputs, inputs[:, :3].argmax(dim=1))
sampler = DistributedSampler(data, num_replicas=2, rank=0)
loader = DataLoader(data, batch_size=8, sampler=sampler)
full = DataLoader(data, batch_size=32)
model = build()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for epoch in range(3):
    sampler.set_epoch(epoch)
    train_epoch(model, loader, optimizer)
    if dist.get_rank() == 0:
        print(epoch, accuracy(model.module, full))
dist.destroy_process_group()
