"""Which of six hand movements is it: a recurrent net over traces of an accelerometer."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Settings:
    batch: int = 8
    micro_batches: int = 4
    epochs: int = 2
    rate: float = 0.01


class Movements(nn.Module):
    def __init__(self, channels=3, width=16, kinds=6):
        super().__init__()
        self.rnn = nn.GRU(channels, width, batch_first=True)
        self.head = nn.Linear(width, kinds)

    def forward(self, traces):
        _, last = self.rnn(traces)
        return self.head(last[-1])


class Trainer:
    def __init__(self, model, settings):
        self.model = model
        self.settings = settings
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=settings.rate)
        self.criterion = nn.CrossEntropyLoss()

    def fit(self, loader):
        for epoch in range(self.settings.epochs):
            self.model.train()
            total = 0.0
            for number, (traces, kinds) in enumerate(loader):
                loss = self.criterion(self.model(traces), kinds)
                total += loss.item()
                loss = loss / self.settings.micro_batches
                loss.backward()
                if (number + 1) % self.settings.micro_batches == 0:
                    self.optimizer.step()
                    self.optimizer.zero_grad()
            print(f"epoch {epoch}: {total / len(loader):.3f}")


def main():
    torch.manual_seed(3)
    settings = Settings()
    kinds = torch.randint(0, 6, (192,))
    traces = torch.randn(192, 20, 3) + kinds[:, None, None] / 6
    loader = DataLoader(TensorDataset(traces, kinds), batch_size=settings.batch, shuffle=True)
    Trainer(Movements(), settings).fit(loader)


if __name__ == "__main__":
    main()
