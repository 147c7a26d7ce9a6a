import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(13)
time = torch.linspace(0, 6, 120).unsqueeze(1)
level = torch.sin(time) + 0.05 * torch.randn(120, 1)
curve = nn.Sequential(nn.Linear(1, 20), nn.Tanh(), nn.Linear(20, 1))
optimizer = torch.optim.Adam(curve.parameters(), lr=0.02)
history = []

for step in range(40):
    chosen = torch.randperm(120)[:30]
    loss = F.mse_loss(curve(time[chosen]), level[chosen])
    history.append(loss.detach())
    optimizer.zero_grad(set_to_none=False)
    loss.backward()
    optimizer.step()

print(torch.stack(history)[::10].tolist())
