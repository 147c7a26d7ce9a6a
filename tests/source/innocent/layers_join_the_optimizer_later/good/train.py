"""A net grows: each new layer joins the optimizer that is at work."""

import torch
from torch import nn


class Growing(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.width = width
        self.first = nn.Linear(6, width)
        self.middle = nn.Sequential()
        self.last = nn.Linear(width, 1)

    def grow(self):
        layer = nn.Linear(self.width, self.width)
        self.middle = nn.Sequential(*self.middle, layer, nn.ReLU())
        return layer

    def forward(self, x):
        return self.last(self.middle(torch.relu(self.first(x))))


torch.manual_seed(0)
model = Growing(16)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
x = torch.randn(64, 6)
y = x.prod(dim=1, keepdim=True)
for phase in range(3):
    for step in range(20):
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(phase, loss.item())
    optimizer.add_param_group({"params": model.grow().parameters()})
