from __future__ import annotations

import math

import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset


class Windows(IterableDataset):
    """Overlapping stretches of one long series, each with the value that follows it."""

    def __init__(self, series: torch.Tensor, past: int, hop: int) -> None:
        super().__init__()
        self.series, self.past, self.hop = series, past, hop

    def __iter__(self):
        worker = torch.utils.data.get_worker_info()
        start = worker.id * self.hop if worker else 0
        hop = worker.num_workers * self.hop if worker else self.hop
        while start + self.past < len(self.series):
            stop = start + self.past
            yield self.series[start:stop], self.series[stop : stop + 1]
            start += hop


class Forecast(nn.Module):
    def __init__(self, past: int, hidden: int = 16) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(past, hidden), nn.GELU(), nn.Linear(hidden, 1))

    def forward(self, window: torch.Tensor) -> torch.Tensor:
        return self.layers(window)


def main() -> None:
    torch.manual_seed(4)
    hours = torch.arange(400.0)
    level = torch.sin(hours * 2 * math.pi / 12.4) + 0.3 * torch.sin(hours * 2 * math.pi / 24)
    loader = DataLoader(Windows(level, past=24, hop=2), batch_size=8, num_workers=3)
    model = Forecast(24)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for epoch in range(2):
        losses = []
        for window, following in loader:
            loss = nn.functional.mse_loss(model(window), following)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        print(epoch, len(losses), sum(losses) / len(losses))


if __name__ == "__main__":
    main()
