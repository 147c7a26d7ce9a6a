import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import make_moons

torch.manual_seed(1)

latent_dim = 8
batch_size = 50
X, _ = make_moons(n_samples=400, noise=0.05, random_state=0)
real_points = torch.tensor(X, dtype=torch.float32)

generator = nn.Sequential(
    nn.Linear(latent_dim, 32),
    nn.LeakyReLU(0.2),
    nn.Linear(32, 32),
    nn.LeakyReLU(0.2),
    nn.Linear(32, 2),
)
discriminator = nn.Sequential(
    nn.Linear(2, 32),
    nn.LeakyReLU(0.2),
    nn.Linear(32, 1),
    nn.Sigmoid(),
)

optimizer_g = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.999))
optimizer_d = torch.optim.Adam(discriminator.parameters(), lr=1e-3, betas=(0.5, 0.999))
criterion = nn.BCELoss()

real_label = torch.ones(batch_size, 1)
fake_label = torch.zeros(batch_size, 1)

for epoch in range(2):
    order = torch.randperm(len(real_points))
    for start in range(0, len(order), batch_size):
        real = real_points[order[start : start + batch_size]]

        # discriminator
        optimizer_d.zero_grad()
        noise = torch.randn(batch_size, latent_dim)
        fake = generator(noise)
        loss_real = criterion(discriminator(real), real_label)
        loss_fake = criterion(discriminator(fake.detach()), fake_label)
        loss_d = loss_real + loss_fake
        loss_d.backward()
        optimizer_d.step()

        # generator
        optimizer_g.zero_grad()
        loss_g = criterion(discriminator(fake), real_label)
        loss_g.backward()
        optimizer_g.step()
    print(f"epoch {epoch}: D {loss_d.item():.3f} G {loss_g.item():.3f}")

samples = generator(torch.randn(200, latent_dim)).detach().numpy()
print("mean of the samples", np.round(samples.mean(axis=0), 2))
