"""The old way: everything is moved by an `if`, or nothing is."""

import torch
import torch.nn as nn

use_cuda = torch.cuda.is_available()
torch.manual_seed(9)
model = nn.Sequential(nn.Linear(4, 8), nn.Sigmoid(), nn.Linear(8, 1))
if use_cuda:
    model.cuda()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)


def batch(size):
    inputs = torch.rand(size, 4)
    targets = inputs.prod(dim=1, keepdim=True)
    if use_cuda:
        inputs, targets = inputs.cuda(), targets.cuda()
    return inputs, targets


for step in range(6):
    inputs, targets = batch(16)
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(model(inputs), targets)
    loss.backward()
    optimizer.step()
model.cpu()
model.eval()
with torch.no_grad():
    print(model(torch.rand(2, 4)).squeeze(1))
