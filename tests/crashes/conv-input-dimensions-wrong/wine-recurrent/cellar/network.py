import torch
from torch import nn


class RecurrentReader(nn.Module):
    """Reads a bottle's measurements and remembers them in the cell's last state."""

    def __init__(self, n_measurements, hidden, layers=2):
        super().__init__()
        self.gru = nn.GRU(n_measurements, hidden, num_layers=layers, batch_first=True)

    def forward(self, measurements):
        _, states = self.gru(measurements)
        return states[-1]


class CultivarNet(nn.Module):
    def __init__(self, n_measurements, n_cultivars, hidden=20, dropout=0.1):
        super().__init__()
        self.reader = RecurrentReader(n_measurements, hidden)
        self.decide = nn.Sequential(nn.Dropout(dropout), nn.Linear(hidden, n_cultivars))

    def forward(self, measurements):
        return self.decide(torch.tanh(self.reader(measurements)))
