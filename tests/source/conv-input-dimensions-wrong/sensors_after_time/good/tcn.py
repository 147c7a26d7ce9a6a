import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class SensorSeries(Dataset):
    """Several sensors over time; an item is `history` steps of all, and the next step of the first."""

    def __init__(self, values, history=32, horizon=1):
        self.values = values.astype(np.float32)
        self.history = history
        self.horizon = horizon

    def __len__(self):
        return len(self.values) - self.history - self.horizon + 1

    def __getitem__(self, start):
        stop = start + self.history
        past = torch.from_numpy(self.values[start:stop]).transpose(0, 1)
        return past, torch.tensor(self.values[stop + self.horizon - 1, 0])


class TCN(nn.Module):
    def __init__(self, sensors, channels=16, levels=3):
        super().__init__()
        layers = []
        for level in range(levels):
            dilation = 2**level
            layers.append(
                nn.Conv1d(
                    sensors if level == 0 else channels,
                    channels,
                    kernel_size=3,
                    dilation=dilation,
                    padding=dilation,
                )
            )
            layers.append(nn.ReLU())
        self.network = nn.Sequential(*layers)
        self.head = nn.Linear(channels, 1)

    def forward(self, past):
        features = self.network(past)
        return self.head(features[:, :, -1]).squeeze(-1)


def make_values(steps, sensors):
    generator = np.random.default_rng(1)
    time = np.arange(steps)[:, None]
    return np.sin(time / np.arange(5, 5 + sensors)) + generator.normal(0, 0.1, (steps, sensors))


def fit(model, dataset, epochs=2):
    loader = DataLoader(dataset, batch_size=32, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    best = float("inf")
    for epoch in range(epochs):
        total = 0.0
        for past, following in loader:
            loss = nn.functional.l1_loss(model(past), following)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(past)
        mean = total / len(dataset)
        best = min(best, mean)
        yield epoch, mean, best


if __name__ == "__main__":
    torch.manual_seed(0)
    sensors = 5
    dataset = SensorSeries(make_values(200, sensors))
    for epoch, mean, best in fit(TCN(sensors), dataset):
        print(f"epoch {epoch}: {mean:.3f} (best {best:.3f})")
