"""Which listener likes which song: two towers, whose outputs are multiplied."""
import argparse

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Listening(Dataset):
    """Pairs of a listener's habits and a song's sound, with the share of it that was listened to."""

    def __init__(self, pairs, seed):
        rng = np.random.default_rng(seed)
        self.habits = rng.gamma(2.0, size=(pairs, 7))
        self.sound = rng.normal(size=(pairs, 11))
        taste = self.habits @ rng.normal(size=(7, 3))
        flavour = self.sound @ rng.normal(size=(11, 3))
        liking = (taste * flavour).sum(axis=1)
        self.share = (1 / (1 + np.exp(-liking / liking.std()))).astype("float32")

    def __len__(self):
        return len(self.share)

    def __getitem__(self, i):
        listener = {"habits": self.habits[i], "sound": self.sound[i]}
        return listener, self.share[i]


def tower(n_in, n_out, width=32):
    return nn.Sequential(nn.Linear(n_in, width), nn.ReLU(), nn.Linear(width, n_out))


class TwoTowers(nn.Module):
    def __init__(self, n_habits, n_sound, n_joint):
        super().__init__()
        self.towers = nn.ModuleDict(
            {"habits": tower(n_habits, n_joint), "sound": tower(n_sound, n_joint)}
        )
        self.offset = nn.Parameter(torch.zeros(1))

    def forward(self, habits, sound):
        match = self.towers["habits"](habits) * self.towers["sound"](sound)
        return torch.sigmoid(match.sum(dim=1) + self.offset)


def run(options):
    torch.manual_seed(options.seed)
    loader = DataLoader(Listening(options.pairs, options.seed), options.batch, shuffle=True)
    model = TwoTowers(7, 11, options.joint)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=options.lr)
    loss_function = nn.L1Loss()
    for epoch in range(1, options.epochs + 1):
        seen, summed = 0, 0.0
        for pair, share in loader:
            guess = model(pair["habits"], pair["sound"])
            loss = loss_function(guess, share)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seen += len(share)
            summed += loss.item() * len(share)
        print(f"epoch {epoch}/{options.epochs}  mean error {summed / seen:.4f}")


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--pairs", type=int, default=300)
parser.add_argument("--joint", type=int, default=4)
parser.add_argument("--batch", type=int, default=50)
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--lr", type=float, default=1e-3)
parser.add_argument("--seed", type=int, default=12)
run(parser.parse_args())
