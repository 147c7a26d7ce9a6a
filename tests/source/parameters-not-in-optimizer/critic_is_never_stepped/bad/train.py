"""A Wasserstein GAN on numbers of two peaks; the critic learns three times as often."""

import torch
from torch import nn


class Players:
    def __init__(self, width=24):
        self.maker = nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 1))
        self.critic = nn.Sequential(nn.Linear(1, width), nn.ReLU(), nn.Linear(width, 1))
        self.make = torch.optim.RMSprop(self.maker.parameters(), lr=1e-3)
        self.judge = torch.optim.RMSprop(self.maker.parameters(), lr=1e-3)

    def judge_once(self, real):
        with torch.no_grad():
            fake = self.maker(torch.randn(len(real), 4))
        loss = self.critic(fake).mean() - self.critic(real).mean()
        self.judge.zero_grad()
        loss.backward()
        self.judge.step()
        return -loss.item()

    def make_once(self, count):
        loss = -self.critic(self.maker(torch.randn(count, 4))).mean()
        self.make.zero_grad()
        loss.backward()
        self.make.step()


def peaks(count):
    return torch.where(torch.rand(count, 1) < 0.5, -2.0, 1.0) + 0.1 * torch.randn(count, 1)


if __name__ == "__main__":
    torch.manual_seed(0)
    players = Players()
    for round in range(30):
        for _ in range(3):
            distance = players.judge_once(peaks(32))
        players.make_once(32)
        if round % 10 == 9:
            print(round, distance)
