import torch
from torch import nn


class Vae(nn.Module):
    def __init__(self):
        super().__init__()
        self.encode = nn.Linear(20, 8)
        self.decode = nn.Linear(4, 20)

    def forward(self, x):
        mean, log_var = self.encode(x).chunk(2, dim=1)
        z = mean + torch.randn_like(mean) * (0.5 * log_var).exp()
        return self.decode(z), mean, log_var


torch.manual_seed(2)
data = torch.rand(80, 20)
vae = Vae()
optimizer = torch.optim.Adam(vae.parameters(), lr=3e-3)

for epoch in range(3):
    totals = {"reconstruction": 0.0, "kl": 0.0}
    for x in data.split(10):
        output, mean, log_var = vae(x)
        reconstruction = (output - x).pow(2).sum(dim=1).mean()
        kl = -0.5 * (1 + log_var - mean.pow(2) - log_var.exp()).sum(dim=1).mean()
        optimizer.zero_grad()
        (reconstruction + kl).backward()
        optimizer.step()
        totals["reconstruction"] += reconstruction.item()
        totals["kl"] += kl
    print(epoch, {name: round(float(value) / 8, 3) for name, value in totals.items()})
