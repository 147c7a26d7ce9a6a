"""Balance terms are summed in `forward`, returned, and differentiated with the main loss."""

import torch
from torch import nn


class Expert(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(width, width), nn.ReLU())

    def forward(self, x):
        return self.net(x)


class Mixture(nn.Module):
    def __init__(self, width=8, experts=3, depth=2):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleList(Expert(width) for _ in range(experts)) for _ in range(depth)
        )
        self.gates = nn.ModuleList(nn.Linear(width, experts) for _ in range(depth))
        self.head = nn.Linear(width, 1)

    def forward(self, x):
        balance = 0.0
        outputs = []
        for gate, experts in zip(self.gates, self.layers):
            weights = gate(x).softmax(dim=-1)
            parts = torch.stack([expert(x) for expert in experts], dim=-1)
            x = (parts * weights.unsqueeze(1)).sum(dim=-1)
            balance += weights.mean(dim=0).pow(2).sum()
            outputs.append(x)
        return self.head(torch.stack(outputs).mean(dim=0)), balance


torch.manual_seed(0)
x = torch.randn(64, 8)
y = x[:, :1] * 2
model = Mixture()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for step in range(8):
    predicted, balance = model(x)
    losses = []
    losses.append(nn.functional.mse_loss(predicted, y))
    losses.append(0.01 * balance)
    optimizer.zero_grad()
    sum(losses).backward()
    optimizer.step()
    print(step, sum(losses).item())
