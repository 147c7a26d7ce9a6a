import sys

import torch

sys.path.insert(0, ".")

from models import build  # noqa: E402
from torch.nn.functional import mse_loss  # noqa: E402

model = build(width=12)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=10, gamma=0.5)
inputs = torch.linspace(-2, 2, 50).unsqueeze(1)
targets = inputs.abs()

history = []
for epoch in range(30):
    optimizer.zero_grad()
    loss = mse_loss(model(inputs), targets)
    loss.backward()
    optimizer.step()
    scheduler.step()
    history.append(loss.item())
print(history[0], history[-1])
