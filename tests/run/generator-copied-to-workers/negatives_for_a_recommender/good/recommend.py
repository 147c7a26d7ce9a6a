from __future__ import annotations

import argparse
import random
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, random_split


@dataclass
class Purchases(Dataset):
    """What was bought, with as many things that were not."""

    pairs: list[tuple[int, int]]
    items: int
    negatives: int = 3
    draw: random.Random = field(default_factory=lambda: random.Random(5))

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[int, int, Tensor]:
        user, bought = self.pairs[index]
        others = [self.draw.randrange(self.items) for _ in range(self.negatives)]
        return user, bought, torch.tensor(others)


class Factors(nn.Module):
    def __init__(self, users: int, items: int, width: int = 8) -> None:
        super().__init__()
        self.users = nn.Embedding(users, width)
        self.items = nn.Embedding(items, width)

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        return (self.users(users).unsqueeze(1) * self.items(items)).sum(dim=-1)


def seed_worker(number: int) -> None:
    torch.utils.data.get_worker_info().dataset.dataset.draw.seed(torch.initial_seed())


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=2)
    return parser.parse_args()


def fit(options: argparse.Namespace) -> float:
    torch.manual_seed(1)
    random.seed(1)
    pairs = [(user, (user * 7 + turn) % 30) for user in range(20) for turn in range(4)]
    train, _ = random_split(Purchases(pairs, items=30), [64, 16])
    loader = DataLoader(
        train,
        batch_size=16,
        shuffle=True,
        num_workers=options.workers,
        worker_init_fn=seed_worker,
    )
    model = Factors(users=20, items=30)
    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.1)
    for _ in range(options.epochs):
        for users, bought, others in loader:
            wanted = model(users, bought.unsqueeze(1))
            loss = nn.functional.softplus(model(users, others) - wanted).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return loss.item()


if __name__ == "__main__":
    print(fit(read_options()))
