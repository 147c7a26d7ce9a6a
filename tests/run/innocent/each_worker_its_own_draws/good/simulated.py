"""A stream of simulated experiments: every worker runs all of `count`, and each draws other numbers."""

import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset


class Simulation(IterableDataset):
    def __init__(self, count):
        self.count = count

    def __iter__(self):
        for _ in range(self.count):
            mass, push = torch.rand(2).tolist()
            yield torch.tensor([mass, push]), torch.tensor([push / (0.5 + mass)])


class Trainer:
    def __init__(self, workers):
        self.loader = DataLoader(Simulation(48), batch_size=12, num_workers=workers)
        self.model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-2)

    def epoch(self):
        for inputs, targets in self.loader:
            loss = nn.functional.mse_loss(self.model(inputs), targets)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return loss.item()


if __name__ == "__main__":
    torch.manual_seed(14)
    trainer = Trainer(workers=2)
    for _ in range(2):
        print(trainer.epoch())
