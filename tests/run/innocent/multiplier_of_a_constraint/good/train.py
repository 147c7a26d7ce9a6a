"""A regression whose weights must not be large: the price of that is a leaf that is learned by ascent."""

import torch
from torch import nn

torch.manual_seed(5)
inputs = torch.randn(80, 6)
wanted = inputs @ torch.tensor([2.0, -1.0, 0.5, 0.0, 0.0, 1.0]) + 0.1 * torch.randn(80)
model = nn.Linear(6, 1)
price = torch.tensor(0.1, requires_grad=True)
warm = torch.tensor(1.0, requires_grad=True)
primal = torch.optim.SGD(model.parameters(), lr=0.02)
dual = torch.optim.SGD([price, warm], lr=0.05, maximize=True)

for _ in range(4):
    dual.zero_grad()
    (price / 2).backward()
    dual.step()

for step in range(30):
    primal.zero_grad()
    error = (model(inputs).squeeze(1) - wanted).square().mean()
    excess = model.weight.square().sum() - 2.0
    (error + price.detach() * excess).backward()
    primal.step()
    dual.zero_grad()
    (price * excess.detach()).backward()
    dual.step()
    with torch.no_grad():
        price.clamp_(min=0.0)
print(price.item(), model.weight.square().sum().item())
