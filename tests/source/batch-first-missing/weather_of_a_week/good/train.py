"""Tomorrow's temperature from a week of weather: functions and a DataLoader."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

DAYS, MEASUREMENTS = 7, 4


class Forecast(nn.Module):
    def __init__(self, hidden=12):
        super().__init__()
        self.lstm = nn.LSTM(MEASUREMENTS, hidden, num_layers=2, batch_first=True)
        self.head = nn.Linear(hidden, 1)

    def forward(self, weeks):
        outputs, (last, _) = self.lstm(weeks)
        return self.head(outputs[:, -1, :])


def weather(count):
    weeks = torch.randn(count, DAYS, MEASUREMENTS)
    return TensorDataset(weeks, weeks[:, -1, :1] * 0.8)


def train(model, loader, epochs):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for epoch in range(epochs):
        for weeks, temperatures in loader:
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(weeks), temperatures)
            loss.backward()
            optimizer.step()
        print(epoch, loss.item())


if __name__ == "__main__":
    torch.manual_seed(1)
    train(Forecast(), DataLoader(weather(96), batch_size=24, shuffle=True), epochs=2)
