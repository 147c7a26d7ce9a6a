"""A small generative adversarial net for points on a ring."""

import math

import torch
from torch import nn


def ring(count):
    angles = 2 * math.pi * torch.rand(count)
    return torch.stack([angles.cos(), angles.sin()], dim=1)


class RingGan:
    def __init__(self, noise=4, width=32):
        self.noise = noise
        self.draw = nn.Sequential(nn.Linear(noise, width), nn.ReLU(), nn.Linear(width, 2))
        self.judge = nn.Sequential(nn.Linear(2, width), nn.LeakyReLU(0.2), nn.Linear(width, 1))
        self.draw_optimizer = torch.optim.Adam(self.draw.parameters(), lr=1e-3)
        self.judge_optimizer = torch.optim.Adam(self.judge.parameters(), lr=1e-3)
        self.criterion = nn.BCEWithLogitsLoss()

    def sample(self, count):
        return self.draw(torch.randn(count, self.noise))

    def train_judge(self, real):
        fake = self.sample(len(real)).detach()
        scores = torch.cat([self.judge(real), self.judge(fake)])
        wanted = torch.cat([torch.ones(len(real), 1), torch.zeros(len(real), 1)])
        loss = self.criterion(scores, wanted)
        self.judge_optimizer.zero_grad()
        loss.backward()
        self.judge_optimizer.step()
        return loss.item()

    def train_draw(self, count):
        samples = self.sample(count)
        score = self.judge(samples.detach())
        loss = self.criterion(score, torch.ones(count, 1))
        self.draw_optimizer.zero_grad()
        loss.backward()
        self.draw_optimizer.step()
        return loss.item()


torch.manual_seed(3)
gan = RingGan()
for step in range(20):
    judged = gan.train_judge(ring(64))
    drawn = gan.train_draw(64)
    if step % 10 == 0:
        print(step, judged, drawn)
