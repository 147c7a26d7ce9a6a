import torch
from torch import nn


class Quantizer(nn.Module):
    """The codes follow the mean of what they are nearest to; no gradient moves them."""

    def __init__(self, codes, size):
        super().__init__()
        self.codes = nn.Embedding(codes, size)
        self.register_buffer("counts", torch.ones(codes))

    def forward(self, latent):
        nearest = torch.cdist(latent, self.codes.weight).argmin(dim=1)
        if self.training:
            with torch.no_grad():
                for code in nearest.unique():
                    mean = latent[nearest == code].mean(dim=0)
                    self.codes.weight.data[code] += 0.1 * (mean - self.codes.weight.data[code])
        chosen = self.codes.weight[nearest].detach()
        return latent + (chosen - latent).detach(), (latent - chosen).pow(2).mean()


class AutoEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(8, 3), nn.Linear(3, 8)
        self.quantizer = Quantizer(10, 3)

    def forward(self, x):
        code, commitment = self.quantizer(self.encoder(x))
        return self.decoder(code), commitment


torch.manual_seed(0)
model = AutoEncoder()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(24):
    x = torch.randn(32, 8)
    decoded, commitment = model(x)
    loss = (decoded - x).pow(2).mean() + 0.25 * commitment
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
