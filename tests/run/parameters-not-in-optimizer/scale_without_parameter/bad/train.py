import torch
import torch.nn.functional as F
from torch import nn


class CosineHead(nn.Module):
    def __init__(self, width, classes):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(classes, width))
        self.scale = torch.full((1,), 5.0, requires_grad=True)

    def forward(self, x):
        return self.scale * F.normalize(x, dim=1) @ F.normalize(self.weight, dim=1).T


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(10, 8)
        self.head = CosineHead(8, 3)

    def forward(self, x):
        return self.head(torch.tanh(self.body(x)))


def run(steps):
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for step in range(steps):
        x = torch.randn(32, 10)
        loss = F.cross_entropy(net(x), x[:, :3].argmax(dim=1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item(), net.head.scale.item()


torch.manual_seed(0)
print(run(20))
