import pathlib
import tempfile

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from .datasets import TableDataset
from .table import load_table, save_table


class Experiment:
    def __init__(self, table, lr=0.02, batch_size=24):
        border = int(0.8 * len(table))
        self.train_set = TableDataset(table[:border])
        self.test_set = TableDataset(table[border:], self.train_set.mean, self.train_set.std)
        self.batch_size = batch_size
        self.model = nn.Sequential(nn.Linear(13, 20), nn.ReLU(), nn.Linear(20, 3))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=lr, momentum=0.9)
        self.loss = nn.CrossEntropyLoss(label_smoothing=0.05)

    def epoch(self):
        self.model.train()
        for inputs, classes in DataLoader(self.train_set, self.batch_size, shuffle=True):
            self.optimizer.zero_grad()
            self.loss(self.model(inputs), classes).backward()
            self.optimizer.step()

    def score(self):
        self.model.eval()
        with torch.no_grad():
            guess = self.model(self.test_set.inputs).argmax(dim=1)
        return (guess == self.test_set.classes).float().mean().item()


def main():
    torch.manual_seed(17)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "wine.csv"
        save_table(path)
        table = load_table(path)
    np.random.default_rng(17).shuffle(table)
    experiment = Experiment(table)
    for number in range(6):
        experiment.epoch()
        print(f"epoch {number}: {experiment.score():.2%} of the test bottles recognised")


if __name__ == "__main__":
    main()
