"""Gradients as values: nothing is stored in `.grad`, so nothing is cleared."""

import torch
from torch import nn
from torch.func import functional_call, grad

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
parameters = {name: p.detach() for name, p in model.named_parameters()}
x = torch.randn(40, 3)
y = x.prod(dim=1, keepdim=True)


def objective(weights, x, y):
    return nn.functional.mse_loss(functional_call(model, weights, (x,)), y)


total = 0.0
for step in range(10):
    gradients = grad(objective)(parameters, x, y)
    parameters = {name: p - 0.1 * gradients[name] for name, p in parameters.items()}
    total += objective(parameters, x, y)
print(total / 10)

inner = nn.Linear(3, 1)
meta = torch.optim.SGD(inner.parameters(), lr=0.1)
for task in range(4):
    copied = nn.Linear(3, 1)
    copied.load_state_dict(inner.state_dict())
    for _ in range(3):
        loss = nn.functional.mse_loss(copied(x), y + task)
        slopes = torch.autograd.grad(loss, list(copied.parameters()))
        with torch.no_grad():
            for weight, slope in zip(copied.parameters(), slopes):
                weight -= 0.05 * slope
    for mine, theirs in zip(inner.parameters(), copied.parameters()):
        mine.grad = (mine - theirs).detach()
    meta.step()
print(inner.weight.tolist())
