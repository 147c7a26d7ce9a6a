import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset, random_split

SPECIES = ("wren", "robin", "tit", "finch", "thrush")


@dataclass
class Settings:
    calls: int = 121
    samples: int = 400
    batch_size: int = 24
    epochs: int = 3
    channels: list[int] = field(default_factory=lambda: [12, 24])
    learning_rate: float = 2e-3


def synthetic_calls(settings: Settings) -> TensorDataset:
    """A chirp for each call; the species is told by how fast its pitch rises."""
    time = torch.linspace(0, 1, settings.samples)
    species = torch.randint(len(SPECIES), (settings.calls,))
    start = 8 + 4 * torch.rand(settings.calls, 1)
    slope = 6.0 * species[:, None]
    calls = torch.sin(2 * math.pi * (start + slope * time / 2) * time)
    calls += 0.2 * torch.randn(settings.calls, settings.samples)
    return TensorDataset(calls.unsqueeze(1), species)


class CallEncoder(nn.Module):
    def __init__(self, channels: list[int]) -> None:
        super().__init__()
        widths = [1, *channels]
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv1d(a, b, 11, stride=3), nn.GELU())
            for a, b in zip(widths, widths[1:])
        )
        self.pool = nn.AdaptiveMaxPool1d(1)

    def forward(self, calls: Tensor) -> Tensor:
        for stage in self.stages:
            calls = stage(calls)
        return self.pool(calls).squeeze()


class SpeciesNet(nn.Module):
    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.encoder = CallEncoder(settings.channels)
        self.species = nn.Linear(settings.channels[-1], len(SPECIES))

    def forward(self, calls: Tensor) -> Tensor:
        return self.species(self.encoder(calls))


class Training:
    def __init__(self, net: nn.Module, settings: Settings) -> None:
        self.net = net
        self.settings = settings
        self.objective = nn.CrossEntropyLoss(label_smoothing=0.0)
        self.optimizer = torch.optim.AdamW(net.parameters(), lr=settings.learning_rate)

    def objective_of(self, batch: list[Tensor]) -> Tensor:
        calls, species = batch
        return self.objective(self.net(calls), species)

    def epoch(self, loader: DataLoader) -> float:
        self.net.train()
        losses = []
        for batch in loader:
            loss = self.objective_of(batch)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        return sum(losses) / len(losses)


def main() -> None:
    torch.manual_seed(17)
    settings = Settings()
    calls = synthetic_calls(settings)
    train, _ = random_split(calls, [97, settings.calls - 97])
    training = Training(SpeciesNet(settings), settings)
    for number in range(settings.epochs):
        loss = training.epoch(DataLoader(train, settings.batch_size, shuffle=True))
        print(f"epoch {number + 1}: loss {loss:.3f}")


main()
