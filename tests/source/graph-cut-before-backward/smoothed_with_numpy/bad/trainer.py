import torch
from torch import nn


class Trainer:
    def __init__(self, model, loader, lr=1e-3):
        self.model = model
        self.loader = loader
        self.criterion = nn.MSELoss()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=lr)
        self.history = []

    def epoch(self):
        self.model.train()
        total = 0.0
        for day, load in self.loader:
            total += self.step(day, load)
        self.history.append(total / len(self.loader))

    def step(self, day, load):
        self.optimizer.zero_grad()
        loss = self.criterion(self.model(day), load)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def fit(self, epochs):
        for _ in range(epochs):
            self.epoch()
        return self.history
