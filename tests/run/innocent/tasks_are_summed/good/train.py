import torch
from torch import nn

torch.manual_seed(0)
body = nn.Linear(6, 12)
heads = nn.ModuleList(nn.Linear(12, 1) for _ in range(3))
optimizer = torch.optim.SGD([*body.parameters(), *heads.parameters()], lr=0.02)
for step in range(15):
    x = torch.randn(20, 6)
    optimizer.zero_grad()
    for task, head in enumerate(heads):
        loss = nn.functional.mse_loss(head(torch.relu(body(x))).squeeze(1), x[:, task])
        loss.backward()
    optimizer.step()
print(loss.item())
