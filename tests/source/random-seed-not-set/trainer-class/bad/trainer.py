import torch
from torch import nn

from helpers import wave


class Trainer:
    def __init__(self, config):
        self.config = config
        self.model = nn.Sequential(
            nn.Linear(1, config.hidden), nn.Tanh(), nn.Linear(config.hidden, 1)
        )
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=config.rate)
        self.x, self.y = wave(64)

    def step(self):
        self.optimizer.zero_grad()
        loss = nn.functional.mse_loss(self.model(self.x), self.y)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def fit(self):
        for number in range(self.config.rounds):
            print(number, self.step())
