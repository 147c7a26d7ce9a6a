from dataclasses import asdict, dataclass

import torch
from torch import nn
from torch.utils.data import DataLoader

from recogniser import Recogniser
from sensors import ACTIVITIES, ActivityWindows


@dataclass
class Options:
    recordings: int = 60
    steps: int = 40
    hidden: int = 16
    batch_size: int = 16
    epochs: int = 3
    lr: float = 1e-2


class Trainer:
    def __init__(self, model, options):
        self.model = model
        self.options = options
        self.optimizer = torch.optim.Adam(model.parameters(), lr=options.lr)
        self.loss = nn.CrossEntropyLoss()

    def train(self, loader):
        self.model.train()
        for windows, activities in loader:
            self.optimizer.zero_grad()
            loss = self.loss(self.model(windows), activities)
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
            self.optimizer.step()

    def confusion(self, loader):
        self.model.eval()
        table = torch.zeros(len(ACTIVITIES), len(ACTIVITIES), dtype=torch.long)
        with torch.no_grad():
            for windows, activities in loader:
                for true, guess in zip(activities, self.model(windows).argmax(1)):
                    table[true, guess] += 1
        return table


def main():
    options = Options()
    print(asdict(options))
    torch.manual_seed(31)
    train_set = ActivityWindows(options.recordings, options.steps, seed=31)
    test_set = ActivityWindows(options.recordings // 4, options.steps, seed=32)
    trainer = Trainer(Recogniser(6, options.hidden, len(ACTIVITIES)), options)
    for _ in range(options.epochs):
        trainer.train(DataLoader(train_set, options.batch_size, shuffle=True))
    print(trainer.confusion(DataLoader(test_set, options.batch_size)))


if __name__ == "__main__":
    main()
