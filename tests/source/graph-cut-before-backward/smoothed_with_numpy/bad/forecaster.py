"""The part of the project that turns a day's readings into a forecast."""

import torch
from torch import nn


class Forecaster(nn.Module):
    """Readings are embedded, hours are smoothed, and one value comes out for each hour."""

    def __init__(self, readings: int, width: int) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(readings, width), nn.ReLU(), nn.Linear(width, width))
        self.readout = nn.Linear(width, 1)

    def forward(self, day: torch.Tensor) -> torch.Tensor:
        hidden = self.embed(day)
        smooth = torch.from_numpy(hidden.detach().numpy())
        before = torch.roll(smooth, 1, dims=1)
        return self.readout(0.5 * smooth + 0.5 * before).squeeze(2)
