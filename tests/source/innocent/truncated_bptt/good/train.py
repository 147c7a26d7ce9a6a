import torch
from torch import nn

torch.manual_seed(0)
sequence = torch.randn(41, 8, 3)
cell, head = nn.GRUCell(3, 12), nn.Linear(12, 3)
parameters = [*cell.parameters(), *head.parameters()]
optimizer = torch.optim.Adam(parameters, lr=1e-2)
K = 10

for epoch in range(2):
    hidden = torch.zeros(8, 12)
    loss, shown = 0.0, 0.0
    for t in range(40):
        hidden = cell(sequence[t], hidden)
        loss = loss + (head(hidden) - sequence[t + 1]).pow(2).mean()
        if (t + 1) % K == 0:
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            shown += loss.item()
            hidden = hidden.detach()
            loss = 0.0
    print(epoch, shown / 40)
