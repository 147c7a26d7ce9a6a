import math

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader


def curves(count: int, points: int) -> Tensor:
    """Sine curves of random phase and frequency, between 0 and 1: (count, points)."""
    time = torch.linspace(0, 2 * math.pi, points)
    phase = torch.rand(count, 1) * math.pi
    speed = torch.rand(count, 1) * 2 + 1
    return torch.sin(speed * time + phase) * 0.5 + 0.5


class VAE(nn.Module):
    def __init__(self, points: int, hidden: int = 40, latent: int = 4) -> None:
        super().__init__()
        self.body = nn.Linear(points, hidden)
        self.mean = nn.Linear(hidden, latent)
        self.log_variance = nn.Linear(hidden, latent)
        self.expand = nn.Linear(latent, hidden)
        self.out = nn.Linear(hidden, points)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.tanh(self.body(x))
        return self.mean(h), self.log_variance(h)

    def reparameterize(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        std = torch.exp(0.5 * log_variance)
        return mean + std * torch.randn_like(std)

    def decode(self, z: Tensor) -> Tensor:
        return torch.sigmoid(self.out(torch.tanh(self.expand(z))))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, log_variance = self.encode(x)
        return self.decode(self.reparameterize(mean, log_variance)), mean, log_variance


def elbo(recon: Tensor, x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    error = nn.functional.binary_cross_entropy(recon, x, reduction="sum")
    divergence = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
    return error + divergence


def train(model: VAE, data: Tensor, epochs: int) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    loader = DataLoader(data, batch_size=32, shuffle=True)
    for epoch in range(epochs):
        total = 0.0
        for batch in loader:
            recon, mean, log_variance = model(batch)
            loss = elbo(recon, batch, mean, log_variance)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(f"epoch {epoch}: {total / len(data):.3f}")


def main() -> None:
    torch.manual_seed(8)
    data = curves(128, points=50)
    model = VAE(points=50)
    train(model, data, epochs=2)
    mean, _ = model.encode(data[:5])
    for row in mean.numpy():
        print(" ".join(f"{value:+.2f}" for value in row))


if __name__ == "__main__":
    main()
