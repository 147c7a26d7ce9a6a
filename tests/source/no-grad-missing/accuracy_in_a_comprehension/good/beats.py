"""Beats in a signal: the accuracy is gathered by a comprehension over the loader."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def recordings(count, steps=24, seed=0):
    generator = torch.Generator().manual_seed(seed)
    signal = torch.randn(count, steps, 1, generator=generator)
    return TensorDataset(signal, (signal.squeeze(2) > 0.8).long())


class Tagger(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.lift = nn.Linear(1, width)
        self.local = nn.Conv1d(width, width, 5, padding=2)
        self.head = nn.Linear(width, 2)

    def forward(self, signal):
        x = self.lift(signal)
        x = x + torch.relu(self.local(x.transpose(1, 2))).transpose(1, 2)
        return self.head(x)


def main():
    torch.manual_seed(6)
    train = DataLoader(recordings(32), batch_size=8, shuffle=True)
    valid = DataLoader(recordings(16, seed=1), batch_size=8)
    model = Tagger()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for epoch in range(2):
        for signal, beat in train:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(signal).flatten(0, 1), beat.flatten())
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            right = [(model(signal).argmax(-1) == beat).float().mean() for signal, beat in valid]
        print(f"epoch {epoch}: loss {loss.item():.3f}, right {torch.stack(right).mean():.2%}")


if __name__ == "__main__":
    main()
