import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def make_rings(count, size=28):
    axis = torch.linspace(-1, 1, size)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    radius = torch.rand(count, 1, 1, 1) * 0.6 + 0.2
    distance = (x**2 + y**2).sqrt()
    return torch.exp(-((distance - radius) ** 2) / 0.02)


class Autoencoder(nn.Module):
    def __init__(self, latent=6):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 8, kernel_size=3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 16, kernel_size=3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(16 * 7 * 7, latent),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent, 16 * 7 * 7),
            nn.Unflatten(1, (16, 7, 7)),
            nn.ConvTranspose2d(16, 8, kernel_size=2, stride=2),
            nn.ReLU(),
            nn.ConvTranspose2d(8, 1, kernel_size=2, stride=2),
            nn.Sigmoid(),
        )

    def encode(self, images):
        return self.encoder(images)

    def forward(self, images):
        return self.decoder(self.encode(images))


def make_step(model, optimizer, loss_function):
    def step(images):
        optimizer.zero_grad()
        loss = loss_function(model(images), images)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def main():
    torch.manual_seed(2)
    rings = make_rings(96)
    loader = DataLoader(TensorDataset(rings), batch_size=24, shuffle=True)
    model = Autoencoder()
    step = make_step(model, torch.optim.Adam(model.parameters(), lr=2e-3), nn.MSELoss())
    for epoch in range(2):
        losses = [step(images) for (images,) in loader]
        print(f"epoch {epoch}: {sum(losses) / len(losses):.4f}")

    codes = model.encode(rings[:10]).detach().numpy()
    print("first code of the first ring:", codes[0, 0].round(3), "of", codes.shape)


main()
