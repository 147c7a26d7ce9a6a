import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.shared = nn.Linear(5, 5)
        self.fast = [nn.Parameter(torch.randn(5, 5) * 0.1), nn.Parameter(torch.zeros(5))]

    def forward(self, x):
        weight, bias = self.fast
        return torch.tanh(self.shared(x)) @ weight + bias


torch.manual_seed(0)
net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
for step in range(20):
    x = torch.randn(16, 5)
    loss = (net(x) - x.flip(1)).pow(2).mean()
    optimizer.zero_grad()
    for parameter in net.fast:
        parameter.grad = None
    loss.backward()
    optimizer.step()
    for parameter in net.fast:
        parameter.data -= 0.1 * parameter.grad
print(loss.item())
