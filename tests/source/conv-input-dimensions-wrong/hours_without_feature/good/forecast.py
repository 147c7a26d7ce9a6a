import math

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Windows(Dataset):
    """`past` hours of a series, and the hour that follows."""

    def __init__(self, series, past):
        self.series = torch.tensor(series, dtype=torch.float32)
        self.past = past

    def __len__(self):
        return len(self.series) - self.past

    def __getitem__(self, i):
        window = self.series[i : i + self.past].unsqueeze(-1)
        return window, self.series[i + self.past]


class Forecaster(nn.Module):
    def __init__(self, hidden_size=16, num_layers=1):
        super().__init__()
        self.lstm = nn.LSTM(1, hidden_size, num_layers, batch_first=True)
        self.head = nn.Linear(hidden_size, 1)

    def forward(self, x):
        out, _ = self.lstm(x)
        return self.head(out[:, -1]).squeeze(-1)


class Trainer:
    def __init__(self, model, train_loader, valid_loader, lr=1e-2):
        self.model = model
        self.train_loader = train_loader
        self.valid_loader = valid_loader
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr)
        self.loss_function = nn.MSELoss()

    def run_epoch(self):
        self.model.train()
        for window, target in self.train_loader:
            self.optimizer.zero_grad()
            loss = self.loss_function(self.model(window), target)
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()

    def validate(self):
        self.model.eval()
        errors = []
        with torch.no_grad():
            for window, target in self.valid_loader:
                prediction = self.model(window)
                errors.append((prediction - target).abs().numpy())
        return float(np.concatenate(errors).mean())

    def fit(self, epochs):
        for epoch in range(epochs):
            self.run_epoch()
            print(epoch, round(self.validate(), 4))


def make_series(hours):
    noise = np.random.default_rng(7).normal(0, 0.05, hours)
    return [math.sin(h / 24 * 2 * math.pi) + n for h, n in enumerate(noise)]


if __name__ == "__main__":
    torch.manual_seed(3)
    series = make_series(240)
    train_set = Windows(series[:200], past=24)
    valid_set = Windows(series[176:], past=24)
    trainer = Trainer(
        Forecaster(),
        DataLoader(train_set, batch_size=32, shuffle=True),
        DataLoader(valid_set, batch_size=32),
    )
    trainer.fit(2)
