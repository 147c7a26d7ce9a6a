"""Points on a spiral: one net makes them, one tells them from real ones."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

NOISE = 6


class Generator(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(NOISE, width), nn.BatchNorm1d(width), nn.ReLU())
        self.point = nn.Linear(width, 2)

    def forward(self, noise):
        return self.point(self.body(noise))


class Discriminator(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, width), nn.LeakyReLU(0.2), nn.Linear(width, 1))

    def forward(self, points):
        return self.layers(points).squeeze(1)


def spiral(count):
    angle = torch.rand(count) * 9
    return angle.unsqueeze(1) / 9 * torch.stack([angle.cos(), angle.sin()], dim=1)


def main(epochs=3, batch=20):
    torch.manual_seed(0)
    loader = DataLoader(TensorDataset(spiral(240)), batch_size=batch, shuffle=True)
    generator, discriminator = Generator(), Discriminator()
    settings = {"lr": 2e-3, "betas": (0.5, 0.999)}
    optimizer_g = torch.optim.Adam(generator.parameters(), **settings)
    optimizer_d = torch.optim.Adam(discriminator.parameters(), **settings)
    criterion = nn.BCEWithLogitsLoss()
    real_label, fake_label = torch.ones(batch), torch.zeros(batch)
    for epoch in range(epochs):
        for (real,) in loader:
            fake = generator(torch.randn(batch, NOISE))

            optimizer_d.zero_grad()
            loss_d = criterion(discriminator(real), real_label)
            loss_d = loss_d + criterion(discriminator(fake.detach()), fake_label)
            loss_d.backward()
            optimizer_d.step()

            optimizer_g.zero_grad()
            loss_g = criterion(discriminator(fake), real_label)
            loss_g.backward()
            optimizer_g.step()
        print(f"{epoch} D {loss_d.item():.3f} G {loss_g.item():.3f}")


if __name__ == "__main__":
    main()
