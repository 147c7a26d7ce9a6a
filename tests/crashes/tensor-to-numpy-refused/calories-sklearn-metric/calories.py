"""Estimate burnt calories from a workout; keeps the best model's weights by R²."""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
import torch
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.model_selection import KFold
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset


class Workouts(NamedTuple):
    inputs: Tensor
    calories: Tensor


class Score(NamedTuple):
    r2: float
    mae: float


def simulate(n: int, seed: int) -> Workouts:
    rng = np.random.default_rng(seed)
    minutes = rng.uniform(10, 90, n)
    pulse = rng.normal(130, 15, n)
    weight = rng.normal(72, 12, n)
    age = rng.integers(18, 70, n)
    burnt = minutes * (0.05 * pulse + 0.04 * weight - 0.01 * age) / 4 + rng.normal(0, 6, n)
    columns = np.stack([minutes, pulse, weight, age], axis=1)
    columns = (columns - columns.mean(0)) / columns.std(0)
    return Workouts(
        torch.tensor(columns, dtype=torch.float32),
        torch.tensor(burnt / 100, dtype=torch.float32),
    )


class CalorieNet(nn.Module):
    def __init__(self, hidden: int = 24) -> None:
        super().__init__()
        self.straight = nn.Linear(4, 1)
        self.bent = nn.Sequential(nn.Linear(4, hidden), nn.Tanh(), nn.Linear(hidden, 1))

    def forward(self, inputs: Tensor) -> Tensor:
        return (self.straight(inputs) + self.bent(inputs)).squeeze(-1)


def train_epoch(net: nn.Module, loader: DataLoader, optimizer: torch.optim.Optimizer) -> None:
    net.train()
    for inputs, calories in loader:
        optimizer.zero_grad()
        nn.functional.l1_loss(net(inputs), calories).backward()
        optimizer.step()


def score(net: nn.Module, part: Workouts) -> Score:
    net.eval()
    predicted = net(part.inputs)
    truth = part.calories
    return Score(r2_score(truth, predicted), 100 * mean_absolute_error(truth, predicted))


def fit(train: Workouts, valid: Workouts, epochs: int) -> tuple[nn.Module, Score]:
    net = CalorieNet()
    loader = DataLoader(TensorDataset(*train), batch_size=30, shuffle=True)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    best, weights = Score(-np.inf, np.inf), None
    for _ in range(epochs):
        train_epoch(net, loader, optimizer)
        now = score(net, valid)
        if now.r2 > best.r2:
            best, weights = now, copy.deepcopy(net.state_dict())
    net.load_state_dict(weights)
    return net, best


def main() -> None:
    torch.manual_seed(0)
    workouts = simulate(600, seed=0)
    folds = KFold(3, shuffle=True, random_state=0)
    for number, (fit_on, check_on) in enumerate(folds.split(workouts.inputs)):
        train = Workouts(*(part[fit_on] for part in workouts))
        valid = Workouts(*(part[check_on] for part in workouts))
        _, best = fit(train, valid, epochs=8)
        print(f"fold {number}: R2 {best.r2:.3f}, off by {best.mae:.1f} kcal")


if __name__ == "__main__":
    main()
