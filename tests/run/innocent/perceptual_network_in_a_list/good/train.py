import torch
from torch import nn


class Restorer(nn.Module):
    def __init__(self, judge):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1)
        )
        self.judges = [judge, nn.Identity()]  # not registered: it is not saved and does not learn

    def forward(self, x):
        return self.net(x)

    def loss(self, output, wanted):
        return sum(nn.functional.l1_loss(j(output), j(wanted)) for j in self.judges)


torch.manual_seed(0)
judge = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3)).eval()
model = Restorer(judge)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for step in range(10):
    clean = torch.rand(2, 1, 10, 10)
    loss = model.loss(model(clean + 0.1 * torch.randn_like(clean)), clean)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(loss.item())
