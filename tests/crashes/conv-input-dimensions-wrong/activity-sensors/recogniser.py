import torch
from torch import nn


class TemporalEncoder(nn.Module):
    """Sums up a batch of sequences (batch, time, channels) as one vector each."""

    def __init__(self, channels, hidden):
        super().__init__()
        self.lstm = nn.LSTM(channels, hidden, batch_first=True, bidirectional=True)

    def forward(self, sequences):
        _, (last, _) = self.lstm(sequences)
        return torch.cat([last[0], last[1]], dim=1)


class Recogniser(nn.Module):
    def __init__(self, channels, hidden, n_activities):
        super().__init__()
        self.encoder = TemporalEncoder(channels, hidden)
        self.classifier = nn.Sequential(
            nn.LayerNorm(2 * hidden),
            nn.Linear(2 * hidden, n_activities),
        )

    def forward(self, windows):
        return self.classifier(self.encoder(windows))
