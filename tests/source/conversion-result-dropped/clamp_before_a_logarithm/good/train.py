"""A mixture weight for two coins, with a likelihood written by hand."""

import torch
from torch import nn


class Coin(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(features, 12), nn.Tanh(), nn.Linear(12, 1))

    def forward(self, x):
        return self.layers(x).squeeze(1)


def negative_likelihood(scores, heads):
    scores = scores.clamp(-8.0, 8.0)
    chance = 1 / (1 + torch.exp(-scores))
    return -(heads * chance.log() + (1 - heads) * (1 - chance).log()).mean()


def main():
    torch.manual_seed(12)
    features = torch.randn(100, 4)
    heads = (features[:, 0] > 0).float()
    coin = Coin(4)
    optimizer = torch.optim.Adam(coin.parameters(), lr=0.01)
    for step in range(20):
        optimizer.zero_grad()
        loss = negative_likelihood(coin(features), heads)
        loss.backward()
        optimizer.step()
    print(loss.item())


main()
