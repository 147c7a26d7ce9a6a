"""Conversions whose results are bound, returned, chained or given away, and one that only fills a cache."""

import torch
from torch import nn


class Cache:
    def __init__(self):
        self.kept = {}

    def to(self, device):
        self.kept = {key: value.to(device) for key, value in self.kept.items()}
        return self

    def view(self):
        return len(self.kept)


def prepared(x):
    x = x.float()
    return x.clamp(-3, 3).contiguous()


torch.manual_seed(18)
cache = Cache()
cache.kept["scale"] = torch.full((1,), 0.5)
cache.to("cpu")
cache.view()
inputs = prepared(torch.randint(-5, 5, (64, 6)))
targets = (inputs.sum(dim=1, keepdim=True) > 0).float()
model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))
model.double()
model.float()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
history = []
for step in range(10):
    loss = nn.functional.binary_cross_entropy_with_logits(
        model(inputs) * cache.kept["scale"], targets
    )
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    history.append(loss.detach())
print(torch.stack(history).mean().item())
