"""The last layer follows its gradient by hand, with a rate that falls with the square root of time."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.randn(320, 6)
y = x.abs().sum(dim=1, keepdim=True)
loader = DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True)
encoder = nn.Sequential(nn.Linear(6, 48), nn.ReLU())
head = nn.Linear(48, 1)
optimizer = torch.optim.Adam(encoder.parameters(), lr=0.003)
times = 0
for epoch in range(4):
    for inputs, targets in loader:
        times += 1
        loss = nn.functional.mse_loss(head(encoder(inputs)), targets)
        optimizer.zero_grad()
        head.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for weight in (head.weight, head.bias):
                weight.sub_(weight.grad, alpha=0.05 / times**0.5)
    print(epoch, loss.item())
