import torch
from torch import nn


class Shared(nn.Module):
    def __init__(self, tasks):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(5, 12), nn.ReLU())
        for task in tasks:
            setattr(self, f"head_{task}", nn.Linear(12, 1))

    def forward(self, x, task):
        return getattr(self, f"head_{task}")(self.body(x))


torch.manual_seed(0)
tasks = ("rent", "size", "age")
model = Shared(tasks)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for number, task in enumerate(tasks[:2]):
    for step in range(20):
        x = torch.randn(16, 5)
        loss = (model(x, task).squeeze(1) - x[:, number]).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
