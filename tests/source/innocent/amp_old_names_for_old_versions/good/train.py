"""The same program on PyTorch 1.13 and on today's: the scaler's home depends on the version."""

import torch
from torch import nn

if hasattr(torch.amp, "GradScaler"):
    from torch.amp import GradScaler

    scaler = GradScaler("cuda")
else:
    from torch.cuda.amp import GradScaler

    scaler = GradScaler()

torch.manual_seed(6)
inputs = torch.randn(60, 3)
labels = (inputs.sum(dim=1) > 0).long()
model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-2)

for epoch in range(4):
    order = torch.randperm(len(inputs))
    for rows in order.split(20):
        optimizer.zero_grad()
        with torch.autocast("cuda"):
            loss = nn.functional.cross_entropy(model(inputs[rows]), labels[rows])
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    print(epoch, loss.item())
