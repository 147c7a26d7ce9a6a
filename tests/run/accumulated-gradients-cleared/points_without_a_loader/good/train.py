"""A polynomial through noisy points. The points lie in one tensor, so there is no loader."""

import torch
from torch import nn

torch.manual_seed(0)
x = torch.linspace(-1, 1, 480)
y = x**3 - 0.5 * x + 0.05 * torch.randn(480)
powers = torch.stack([x**power for power in range(5)], dim=1)

model = nn.Linear(5, 1, bias=False)
optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
every = 3

for epoch in range(4):
    order = torch.randperm(480)
    for index, part in enumerate(order.split(24)):
        loss = nn.functional.mse_loss(model(powers[part]).squeeze(1), y[part]) / every
        loss.backward()
        if (index + 1) % every == 0:
            optimizer.step()
            optimizer.zero_grad()
    print(epoch, loss.item() * every)
print(model.weight.detach().numpy().round(2))
