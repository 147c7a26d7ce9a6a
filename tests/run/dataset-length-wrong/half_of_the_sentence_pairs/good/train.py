import random

import torch
from pairs import Pairs
from torch import nn
from torch.utils.data import DataLoader, random_split

WORDS = 12


def corpus(count):
    draw = random.Random(2)
    left, right, same = [], [], []
    for number in range(count):
        sentence = torch.tensor([float(draw.randint(0, 2)) for _ in range(WORDS)])
        is_same = number % 2 == 0
        other = (
            sentence if is_same else torch.tensor([float(draw.randint(0, 2)) for _ in range(WORDS)])
        )
        left.append(sentence)
        right.append(other.flip(0))
        same.append(float(is_same))
    return left, right, same


class Trainer:
    def __init__(self, data, batch_size=16):
        held_out = len(data) // 5
        parts = random_split(data, [len(data) - held_out, held_out])
        self.train_loader = DataLoader(parts[0], batch_size=batch_size, shuffle=True)
        self.held_out_loader = DataLoader(parts[1], batch_size=batch_size)
        self.model = nn.Sequential(nn.Linear(2 * WORDS, 32), nn.Tanh(), nn.Linear(32, 1))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=5e-3)
        self.criterion = nn.BCEWithLogitsLoss()

    def scores(self, left, right):
        return self.model(torch.cat([left, right], dim=1)).squeeze(1)

    def fit(self, epochs):
        for epoch in range(epochs):
            self.model.train()
            for left, right, same in self.train_loader:
                loss = self.criterion(self.scores(left, right), same.float())
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
            print(epoch, f"{self.evaluate():.2f}")

    @torch.no_grad()
    def evaluate(self):
        self.model.eval()
        right_ones = total = 0
        for left, right, same in self.held_out_loader:
            right_ones += ((self.scores(left, right) > 0).float() == same).sum().item()
            total += len(same)
        return right_ones / total


if __name__ == "__main__":
    torch.manual_seed(12)
    Trainer(Pairs(*corpus(300))).fit(3)
