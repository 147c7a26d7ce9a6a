# Cells of a notebook, one after the other.

# %% data
import torch
from torch import nn

torch.manual_seed(12)
x = torch.linspace(-3, 3, 120).unsqueeze(1)
y = torch.sin(x) + 0.1 * torch.randn_like(x)

# %% first try
net = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))

# %% more units, and deeper
net = nn.Sequential(
    nn.Linear(1, 32),
    nn.Tanh(),
    nn.Linear(32, 32),
    nn.Tanh(),
    nn.Linear(32, 1),
)
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)

# %% training
mse = nn.MSELoss()
curve = []
for step in range(60):
    loss = mse(net(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    curve.append(loss.item())
print(curve[0], curve[-1])
