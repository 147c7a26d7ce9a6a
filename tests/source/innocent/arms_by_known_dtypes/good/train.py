"""Arms that a dtype chooses: each is right for the values that come to it."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


def as_features(values):
    if isinstance(values, np.ndarray):
        values = torch.from_numpy(values)
    if values.dtype in (torch.float16, torch.bfloat16, torch.float64):
        return values.float()
    if values.dtype is torch.uint8:
        return values.to(torch.float32).div(255)
    if not values.is_floating_point():
        return values.to(torch.get_default_dtype())
    return values


def loss_of(scores, targets):
    if targets.dtype == torch.int64 and targets.ndim == 1:
        return F.cross_entropy(scores, targets)
    if targets.dtype != torch.bool:
        return F.mse_loss(scores, targets)
    return F.binary_cross_entropy_with_logits(scores, targets.to(scores.dtype))


def compact(values):
    """Half the memory where the machine computes in half precision."""
    return values.half() if values.is_cuda else values


def narrowed(counts):
    """The smallest type that holds the counts: it changes on the way."""
    for kind in (torch.int32, torch.int16, torch.uint8):
        if counts.dtype != torch.uint8:
            counts = counts.to(kind)
    if counts.dtype == torch.uint8:
        counts = counts.float()
    return counts


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(9, 4)
        self.linear = nn.Linear(4, 3)

    def forward(self, x):
        if not torch.is_floating_point(x):
            x = self.embedding(x)
        elif x.dtype != self.linear.weight.dtype:
            x = x.to(self.linear.weight.dtype)
        return self.linear(compact(x))


torch.manual_seed(0)
model = Net()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
tables = [
    (np.random.default_rng(0).normal(size=(5, 4)), torch.tensor([0, 1, 2, 1, 0])),
    (torch.randint(0, 255, (5, 4), dtype=torch.uint8), torch.randn(5, 3)),
    (torch.randn(5, 4).double(), torch.rand(5, 3) > 0.5),
]
for values, targets in tables:
    optimizer.zero_grad()
    loss = loss_of(model(as_features(values)), targets)
    loss.backward()
    optimizer.step()
    print(loss.item())
print(model(torch.tensor([1, 2, 3])).shape, model(torch.randn(2, 4).double()).shape)
print(model.linear(narrowed(torch.ones(2, 4, dtype=torch.long))).shape)
weights = torch.ones(3)
steps = torch.arange(3)
while steps.dtype != torch.float32:
    steps = steps.float()
if steps.dtype == torch.long:
    steps = F.one_hot(steps, 4)
print(model.linear(torch.cat([weights, steps[:1]])))
array = np.zeros(4, dtype=np.float32)
if array.dtype == np.float64 or array.dtype == float:
    array = array.astype("float32")
print(model.linear(torch.from_numpy(array)))
