"""A generator and a critic share one scaler, which is updated once for each pair of steps."""

import torch
from torch import nn

torch.manual_seed(8)
real = torch.randn(64, 2) * 0.5 + 1.0
generator = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
critic = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
for_generator = torch.optim.Adam(generator.parameters(), lr=2e-4)
for_critic = torch.optim.Adam(critic.parameters(), lr=2e-4)
loss_function = nn.BCEWithLogitsLoss()
scaler = torch.amp.GradScaler("cuda")


def critic_loss(batch):
    fake = generator(torch.randn(len(batch), 4)).detach()
    ones, zeros = torch.ones(len(batch), 1), torch.zeros(len(batch), 1)
    return loss_function(critic(batch), ones) + loss_function(critic(fake), zeros)


def generator_loss(count):
    return loss_function(critic(generator(torch.randn(count, 4))), torch.ones(count, 1))


for step in range(8):
    batch = real[torch.randperm(len(real))[:16]]
    for_critic.zero_grad()
    with torch.autocast("cuda"):
        loss = critic_loss(batch)
    scaler.scale(loss).backward()
    scaler.step(for_critic)

    for_generator.zero_grad()
    with torch.autocast("cuda"):
        cheated = generator_loss(len(batch))
    scaler.scale(cheated).backward()
    scaler.unscale_(for_generator)
    nn.utils.clip_grad_norm_(generator.parameters(), 1.0)
    scaler.step(for_generator)
    scaler.update()
    print(step, loss.item(), cheated.item())
