"""Evaluates saved weights; a smoke test of the shapes stands at the end."""

import io

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(5, 16), nn.BatchNorm1d(16), nn.Linear(16, 2))

    def forward(self, x):
        return self.layers(x)


def saved():
    file = io.BytesIO()
    torch.save(Net().state_dict(), file)
    file.seek(0)
    return file


def load_model(file):
    model = Net()
    model.load_state_dict(torch.load(file, weights_only=True))
    return model.eval().requires_grad_(False)


def test():
    net = Net()
    for size in (2, 4):
        y = net(torch.randn(size, 5))
        print(y.shape, y.mean().item())


torch.manual_seed(0)
loader = DataLoader(TensorDataset(torch.randn(60, 5), torch.randint(0, 2, (60,))), batch_size=12)
model = load_model(saved())
hits = 0
for x, y in loader:
    hits += (model(x).argmax(dim=1) == y).sum().item()
print(hits / 60)
test()
