import torch
import torch.nn.functional as F
from torch import nn


class Mixture(nn.Module):
    """Each row goes to its best expert; some experts are never the best of a batch."""

    def __init__(self, size, experts):
        super().__init__()
        self.gate = nn.Linear(size, experts)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(size, 8), nn.ReLU(), nn.Linear(8, size)) for _ in range(experts)
        )

    def forward(self, x):
        weight, chosen = self.gate(x).softmax(dim=1).max(dim=1)
        out = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            mine = chosen == number
            if mine.any():
                out[mine] = expert(x[mine]) * weight[mine].unsqueeze(1)
        return x + out


torch.manual_seed(0)
model = Mixture(6, 12)
nn.init.constant_(model.gate.bias[4:].detach(), -9.0)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(30):
    x = torch.randn(24, 6)
    loss = F.mse_loss(model(x), x.roll(1, dims=1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
