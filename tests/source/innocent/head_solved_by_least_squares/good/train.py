import torch
from torch import nn

torch.manual_seed(0)
inputs = torch.randn(256, 8)
targets = torch.sin(inputs.sum(1, keepdim=True))
encoder = nn.Sequential(nn.Linear(8, 32), nn.Tanh())
head = nn.Linear(32, 1)
optimizer = torch.optim.Adam(encoder.parameters(), lr=1e-2)


def solve(layer, features, wanted):
    ones = torch.ones(len(features), 1)
    solution = torch.linalg.lstsq(torch.cat([features, ones], 1), wanted).solution
    state = {"weight": solution[:-1].t(), "bias": solution[-1]}
    layer.load_state_dict(state)


def refresh():
    with torch.no_grad():
        solve(head, encoder(inputs), targets)


for _ in range(40):
    refresh()
    loss = nn.functional.mse_loss(head(encoder(inputs)), targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(loss.item())
