import torch
from torch import nn

torch.manual_seed(0)
x = torch.linspace(0.05, 1, 40).unsqueeze(1)
y = torch.log(x) + 0.05 * torch.randn(40, 1)


class Curve(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.shift = nn.Parameter(torch.tensor(-2.0))

    def forward(self, x):
        return self.scale * torch.log(x + self.shift.exp())


curve = Curve()
optimizer = torch.optim.LBFGS(curve.parameters(), lr=1.0, line_search_fn="strong_wolfe")


def closure():
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(curve(x), y)
    loss.backward()
    return loss


for step in range(10):
    print(step, optimizer.step(closure).item())
