"""A vector-quantised autoencoder: the decoder's gradient passes the codes straight through."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Quantizer(nn.Module):
    def __init__(self, codes=16, width=8, commitment=0.25):
        super().__init__()
        self.codes = nn.Embedding(codes, width)
        self.commitment = commitment

    def forward(self, latent):
        distances = torch.cdist(latent, self.codes.weight)
        chosen = self.codes(distances.argmin(dim=1))
        loss = F.mse_loss(chosen, latent.detach())
        loss = loss + self.commitment * F.mse_loss(latent, chosen.detach())
        return latent + (chosen - latent).detach(), loss


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 8))
        self.quantizer = Quantizer()
        self.decoder = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 20))

    def forward(self, x):
        quantized, loss = self.quantizer(self.encoder(x))
        return self.decoder(quantized), loss


torch.manual_seed(0)
model = Autoencoder()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
loader = DataLoader(TensorDataset(torch.randn(64, 20)), batch_size=16, shuffle=True)
for epoch in range(2):
    for (batch,) in loader:
        restored, codes_loss = model(batch)
        loss = F.mse_loss(restored, batch) + codes_loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
