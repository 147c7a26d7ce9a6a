"""Wide and deep: what a net can't express, a linear layer on the raw features adds."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
features = torch.randn(320, 12)
prices = features @ torch.linspace(-2, 2, 12) + (features[:, 0] * features[:, 1])
loader = DataLoader(TensorDataset(features, prices.unsqueeze(1)), batch_size=32, shuffle=True)


def fit(epochs):
    deep = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 1))
    wide_head = nn.Linear(12, 1)
    optimizer = torch.optim.Adam(deep.parameters(), lr=0.01)
    criterion = nn.MSELoss()
    for epoch in range(epochs):
        total = 0.0
        for x, y in loader:
            guess = deep(x) + wide_head(x)
            loss = criterion(guess, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(epoch, total / len(loader))
    return deep, wide_head


fit(5)
