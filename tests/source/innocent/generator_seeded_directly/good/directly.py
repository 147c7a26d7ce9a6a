import torch
from torch import nn

torch.default_generator.manual_seed(20)

grid = torch.linspace(-2, 2, 80).unsqueeze(1)
wave = torch.sin(2 * grid) + 0.05 * torch.randn(80, 1)
net = nn.Sequential(nn.Linear(1, 24), nn.Tanh(), nn.Linear(24, 1))
optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
for step in range(30):
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(net(grid), wave)
    loss.backward()
    optimizer.step()
print(step, loss.item())
