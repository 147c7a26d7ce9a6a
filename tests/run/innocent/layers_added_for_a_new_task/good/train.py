import torch
from torch import nn


class Growing(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(6, 8)
        self.heads = nn.ModuleList([nn.Linear(8, 2)])

    def forward(self, x, task):
        return self.heads[task](torch.relu(self.body(x)))


torch.manual_seed(0)
model = Growing()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for task in range(3):
    if task:
        head = nn.Linear(8, 2)
        model.heads.append(head)
        optimizer.add_param_group({"params": head.parameters()})
    for step in range(6):
        x = torch.randn(12, 6)
        loss = nn.functional.cross_entropy(model(x, task), (x[:, task] > 0).long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(task, loss.item())
