"""Embeddings and dense layers have optimizers of their own, which cover the model together."""

import torch
from torch import nn


class Ranker(nn.Module):
    def __init__(self, users, items, width):
        super().__init__()
        self.users = nn.Embedding(users, width, sparse=True)
        self.items = nn.Embedding(items, width, sparse=True)
        self.dense = nn.Sequential(nn.Linear(2 * width, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, user, item):
        both = torch.cat([self.users(user), self.items(item)], dim=1)
        return self.dense(both).squeeze(1)


torch.manual_seed(0)
model = Ranker(40, 60, 8)
tables = [*model.users.parameters(), *model.items.parameters()]
sparse = torch.optim.SparseAdam(tables, lr=1e-2)
dense = torch.optim.Adam(model.dense.parameters(), lr=1e-3)
bce = nn.BCEWithLogitsLoss()
for step in range(20):
    user, item = torch.randint(0, 40, (32,)), torch.randint(0, 60, (32,))
    clicked = (user % 2 == item % 2).float()
    loss = bce(model(user, item), clicked)
    for optimizer in (sparse, dense):
        optimizer.zero_grad()
    loss.backward()
    for optimizer in (sparse, dense):
        optimizer.step()
print(loss.item())
