import torch
from torch import nn

SIZE = 8


def mlp(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, 32), nn.LeakyReLU(0.2), nn.Linear(32, outputs))


def main(steps=20):
    generator = mlp(SIZE, 2)
    critic = mlp(2, 1)
    for_generator = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    for_critic = torch.optim.Adam(critic.parameters(), lr=2e-4, betas=(0.5, 0.999))
    criterion = nn.BCEWithLogitsLoss()
    ones, zeros = torch.ones(64, 1), torch.zeros(64, 1)
    real = torch.stack([torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64) ** 2], dim=1)
    for step in range(steps):
        noise = torch.randn(64, SIZE)
        fake = generator(noise)

        for_critic.zero_grad()
        loss = criterion(critic(real), ones) + criterion(critic(fake.detach()), zeros)
        loss.backward()
        for_critic.step()

        for_generator.zero_grad()
        criterion(critic(fake), ones).backward()
        for_generator.step()


if __name__ == "__main__":
    main()
