import copy
import hashlib
import io
import pickle
import random

import numpy
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.first = nn.Sequential(nn.Linear(6, width), nn.BatchNorm1d(width), nn.ReLU())
        self.drop = nn.Dropout(0.3)
        self.middle = nn.Linear(width, width)
        self.last = nn.Linear(width, 3)

    def forward(self, x, again=True):
        x = self.drop(self.first(x))
        x = checkpoint(self.middle, x, use_reentrant=not again)
        return self.last(self.drop(torch.relu(x)))


def digest(data):
    return hashlib.sha256(data).hexdigest()[:16]


def states():
    generators = random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    return digest(repr(generators).encode())


random.seed(3)
numpy.random.seed(3)
torch.manual_seed(3)
model = Net(16)
optimizer = torch.optim.Adam(model.parameters(), 0.01)
x, y = torch.randn(90, 6), torch.randint(3, (90,))
print(states())
for epoch in range(4):
    model.train()
    for start in range(0, 90, 4):
        part = slice(start, start + 4)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x[part], start % 3 > 0), y[part])
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        print(epoch, loss.item().hex(), model(x).double().sum().item().hex(), states())
saved = io.BytesIO()
torch.save(model.state_dict(), saved)
print(digest(saved.getvalue()), len(pickle.dumps(model)), list(vars(model)))
print(copy.deepcopy(model).eval()(x[:2]).flatten().tolist() == model(x[:2]).flatten().tolist())
print(pickle.loads(pickle.dumps(model)).eval()(x[:2]).sum().item().hex())
