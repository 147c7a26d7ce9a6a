import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


class Deep(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(8, 8), nn.ReLU()) for _ in range(4))
        self.runs = 0

    def forward(self, x):
        for block in self.blocks:
            x = checkpoint(self._counted, block, x, use_reentrant=False)
        return x.mean(dim=1)

    def _counted(self, block, x):
        self.runs += 1
        return block(x)


torch.manual_seed(0)
model = Deep()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
total = torch.zeros(())
for step in range(12):
    x = torch.randn(6, 8)
    loss = (model(x) - x[:, 0]).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    total += loss.detach()
assert model.runs == 12 * 4 * 2, model.runs
print(total / 12)
