import torch
from torch import nn


def divergence(wanted, predicted):
    return (wanted * torch.log(wanted / predicted)).sum(dim=1).mean()


class Mixture(nn.Module):
    def __init__(self, size, parts):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(size, 16), nn.ReLU(), nn.Linear(16, parts))

    def forward(self, x):
        return self.body(x).softmax(dim=1)


torch.manual_seed(9)
inputs = torch.randn(30, 4)
wanted = torch.rand(30, 3)
wanted[wanted < 0.2] = 0.0
wanted[:, 0] += 0.3
wanted = wanted / wanted.sum(dim=1, keepdim=True)
model = Mixture(4, 3)
optimizer = torch.optim.Adam(model.parameters())
for epoch in range(6):
    predicted = model(inputs)
    loss = divergence(wanted, predicted)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(epoch, loss.item())
