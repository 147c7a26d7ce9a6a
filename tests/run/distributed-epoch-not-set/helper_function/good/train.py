"""Regression on a share of the data, as one of two workers would see it."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, Dataset, DistributedSampler

WORLD, RANK, EPOCHS = 2, 1, 3


class Waves(Dataset):
    def __init__(self, count):
        self.phase = torch.linspace(0, 6.28, count)

    def __len__(self):
        return len(self.phase)

    def __getitem__(self, index):
        phase = self.phase[index]
        return torch.stack([phase.sin(), phase.cos()]), (2 * phase).sin().unsqueeze(0)


class Net(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.hidden = nn.Linear(2, width)
        self.out = nn.Linear(width, 1)

    def forward(self, x):
        return self.out(torch.tanh(self.hidden(x)))


def train_one_epoch(net, batches, optimizer):
    seen = 0
    for inputs, targets in batches:
        optimizer.zero_grad(set_to_none=True)
        loss = F.mse_loss(net(inputs), targets)
        loss.backward()
        optimizer.step()
        seen += len(inputs)
    return seen, loss.item()


def validate(net, batches):
    net.eval()
    with torch.no_grad():
        errors = [F.mse_loss(net(inputs), targets).item() for inputs, targets in batches]
    net.train()
    return sum(errors) / len(errors)


torch.manual_seed(7)
train_set, val_set = Waves(80), Waves(32)
sampler = DistributedSampler(train_set, num_replicas=WORLD, rank=RANK, seed=7)
batches = DataLoader(train_set, batch_sampler=BatchSampler(sampler, 10, drop_last=True))
val_batches = DataLoader(val_set, batch_size=16)
net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
for epoch in range(EPOCHS):
    sampler.set_epoch(epoch)
    seen, last = train_one_epoch(net, batches, optimizer)
    print(epoch, seen, round(last, 4), round(validate(net, val_batches), 4))
