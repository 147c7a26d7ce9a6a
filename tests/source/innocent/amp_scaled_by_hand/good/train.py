"""A fixed loss scale, divided out of the gradients by hand."""

import torch
from torch import nn

SCALE = 1024.0

torch.manual_seed(1)
inputs, targets = torch.randn(64, 6), torch.randn(64, 1)
model = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)


def divide_gradients(parameters, by):
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.div_(by)


for epoch in range(3):
    for start in range(0, 64, 16):
        x, y = inputs[start : start + 16], targets[start : start + 16]
        optimizer.zero_grad()
        with torch.autocast("cuda", dtype=torch.float16):
            loss = nn.functional.mse_loss(model(x), y)
        (loss * SCALE).backward()
        divide_gradients(model.parameters(), SCALE)
        optimizer.step()
    print(epoch, loss.item())
