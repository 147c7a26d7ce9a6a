"""Which half of a sequence is larger? The model clears its own gradients, and the steps are counted over all epochs."""

import torch
from torch import nn


class Halves(nn.Module):
    def __init__(self, length, width):
        super().__init__()
        self.mix = nn.Conv1d(1, width, 5, padding=2)
        self.judge = nn.Linear(width * length, 1)

    def forward(self, values):
        mixed = torch.tanh(self.mix(values.unsqueeze(1)))
        return self.judge(mixed.flatten(1)).squeeze(1)


def batches(count, size, length):
    generator = torch.Generator().manual_seed(4)
    for _ in range(count):
        values = torch.randn(size, length, generator=generator)
        first, second = values.chunk(2, dim=1)
        yield values, (first.sum(1) > second.sum(1)).float()


def train(accumulate):
    model = Halves(12, 6)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    criterion = nn.BCEWithLogitsLoss()
    micro = 0
    for epoch in range(3):
        model.train()
        for values, labels in batches(16, 16, 12):
            micro += 1
            loss = criterion(model(values), labels) * (1 / accumulate)
            loss.backward()
            if micro % accumulate == 0:
                optimizer.step()
                model.zero_grad()
        print(epoch, loss.item())


if __name__ == "__main__":
    torch.manual_seed(0)
    train(accumulate=4)
