"""Spam or not, from the counts of 30 words."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

WORDS = 30


def messages(count, generator):
    counts = torch.poisson(torch.rand(count, WORDS, generator=generator) * 2, generator=generator)
    is_spam = (counts[:, :5].sum(dim=1) > counts[:, 5:10].sum(dim=1)).float()
    return TensorDataset(counts, is_spam.unsqueeze(1))


def build():
    return nn.Sequential(
        nn.Linear(WORDS, 32),
        nn.ReLU(),
        nn.Linear(32, 1),
    )


def train(model, loader, epochs):
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for epoch in range(epochs):
        total = 0.0
        for counts, is_spam in loader:
            optimizer.zero_grad()
            loss = criterion(model(counts), is_spam)
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(f"epoch {epoch}: {total / len(loader):.4f}")


if __name__ == "__main__":
    torch.manual_seed(3)
    generator = torch.Generator().manual_seed(3)
    loader = DataLoader(messages(128, generator), batch_size=16, shuffle=True)
    train(build(), loader, epochs=2)
