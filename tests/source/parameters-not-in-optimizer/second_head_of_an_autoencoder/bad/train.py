# An autoencoder of curves with two heads behind the code: one rebuilds the curve, one guesses its frequency.
import math

import torch
from torch import nn

torch.manual_seed(5)
times = torch.linspace(0, 2 * math.pi, 24)
frequencies = torch.rand(192, 1) * 2 + 1
curves = torch.sin(frequencies * times) + 0.05 * torch.randn(192, 24)

# %%
encoder = nn.Sequential(nn.Linear(24, 32), nn.Tanh(), nn.Linear(32, 4))
rebuild_head = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 24))
frequency_head = nn.Linear(4, 1)

# %%
optimizer = torch.optim.AdamW(
    list(encoder.parameters()) + list(rebuild_head.parameters()), lr=5e-3, weight_decay=1e-4
)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=40)

# %%
for round in range(40):
    code = encoder(curves)
    loss = nn.functional.mse_loss(rebuild_head(code), curves)
    loss = loss + 0.3 * nn.functional.mse_loss(frequency_head(code), frequencies)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    if round % 10 == 9:
        print(round, loss.item())

# %%
with torch.no_grad():
    error = (frequency_head(encoder(curves)) - frequencies).abs().mean()
print("mean error of the frequency", error.item())
