"""How long a delivery takes. The targets come as a column, the predictions are squeezed."""

import argparse

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset


class Deliveries(Dataset):
    def __init__(self, count=192, seed=0):
        generator = np.random.default_rng(seed)
        self.roads = generator.random((count, 4), dtype=np.float32)
        self.minutes = self.roads.sum(axis=1) * 10 + 5

    def __len__(self):
        return len(self.roads)

    def __getitem__(self, index):
        return torch.from_numpy(self.roads[index]), torch.tensor([self.minutes[index]])


class Clock(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.hidden = nn.Linear(4, hidden)
        self.out = nn.Linear(hidden, 1)

    def forward(self, roads):
        return self.out(torch.relu(self.hidden(roads)))


class Trainer:
    def __init__(self, model, lr):
        self.model = model
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=lr)

    def fit(self, loader, epochs):
        for epoch in range(epochs):
            seen = 0.0
            for batch in loader:
                seen += self.step(*batch)
            print(f"epoch {epoch}: off by {seen / len(loader):.2f} minutes")

    def step(self, roads, minutes):
        guess = self.model(roads).squeeze(-1)
        error = minutes - guess
        loss = torch.mean(torch.abs(error))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--lr", type=float, default=5e-3)
parser.add_argument("--hidden", type=int, default=16)
options = parser.parse_args()

torch.manual_seed(1)
trainer = Trainer(Clock(options.hidden), options.lr)
trainer.fit(DataLoader(Deliveries(), batch_size=24, shuffle=True), options.epochs)
