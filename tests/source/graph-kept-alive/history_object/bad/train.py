"""Wasserstein GAN with weight clipping: several critic steps for one generator step."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

LATENT, N_CRITIC, CLIP = 8, 3, 0.01


def mlp(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, 32), nn.LeakyReLU(0.2), nn.Linear(32, outputs))


class History:
    def __init__(self):
        self.critic, self.generator = [], []

    def __str__(self):
        return f"critic {self.critic[-1]:.4f}, generator {self.generator[-1]:.4f}"


def critic_step(critic, generator, optimizer_c, real):
    fake = generator(torch.randn(real.size(0), LATENT)).detach()
    optimizer_c.zero_grad()
    loss = critic(fake).mean() - critic(real).mean()
    loss.backward()
    optimizer_c.step()
    for parameter in critic.parameters():
        parameter.data.clamp_(-CLIP, CLIP)
    return loss


def generator_step(critic, generator, optimizer_g, count):
    optimizer_g.zero_grad()
    loss = -critic(generator(torch.randn(count, LATENT))).mean()
    loss.backward()
    optimizer_g.step()
    return loss


def train(loader, epochs=2):
    generator, critic = mlp(LATENT, 2), mlp(2, 1)
    optimizer_g = torch.optim.RMSprop(generator.parameters(), lr=5e-5)
    optimizer_c = torch.optim.RMSprop(critic.parameters(), lr=5e-5)
    history = History()
    for epoch in range(epochs):
        for i, (real,) in enumerate(loader):
            loss_c = critic_step(critic, generator, optimizer_c, real)
            history.critic.append(loss_c)
            if i % N_CRITIC == 0:
                loss_g = generator_step(critic, generator, optimizer_g, real.size(0))
                history.generator.append(loss_g.item())
        print(epoch, history)
    return generator


if __name__ == "__main__":
    torch.manual_seed(0)
    angles = torch.rand(120) * 6.28
    ring = torch.stack([angles.cos(), angles.sin()], dim=1)
    generator = train(DataLoader(TensorDataset(ring), batch_size=20, shuffle=True))
    with torch.no_grad():
        print(generator(torch.randn(5, LATENT)).norm(dim=1))
