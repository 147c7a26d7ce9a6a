import torch
from torch import nn

torch.manual_seed(0)
cell, out = nn.GRUCell(3, 12), nn.Linear(12, 3)
optimizer = torch.optim.Adam([*cell.parameters(), *out.parameters()], lr=0.01)
series = torch.randn(160, 5, 3).cumsum(dim=0)
state, total = torch.zeros(5, 12), 0.0
for start in range(0, 152, 8):
    state, window = state.detach(), 0
    for t in range(start, start + 8):
        state = cell(series[t], state)
        window = window + (out(state) - series[t + 1]).abs().mean()
    optimizer.zero_grad()
    window.backward()
    optimizer.step()
    total += window.item()
print(total)
