from collections import Counter

import torch
from torch import nn, optim
from torch.utils.data import DataLoader

from convnet import MobileShapes
from shapes import NAMES, ShapePictures

torch.manual_seed(5)


class Runner:
    def __init__(self, epochs=3):
        self.epochs = epochs
        self.train_loader = DataLoader(
            ShapePictures(300, seed=0, augment=True), batch_size=30, shuffle=True, num_workers=2
        )
        self.test_loader = DataLoader(ShapePictures(90, seed=1), batch_size=30)
        self.net = MobileShapes(len(NAMES))
        self.opt = optim.RAdam(self.net.parameters(), lr=4e-3)
        self.loss_fn = nn.CrossEntropyLoss()

    def train(self):
        self.net.train()
        mean = 0.0
        for n, (pictures, kinds) in enumerate(self.train_loader, start=1):
            loss = self.loss_fn(self.net(pictures), kinds)
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            mean += (loss.item() - mean) / n
        return mean

    @torch.no_grad()
    def test(self):
        self.net.eval()
        confusion = Counter()
        for pictures, kinds in self.test_loader:
            for said, true in zip(self.net(pictures).argmax(1).tolist(), kinds.tolist()):
                confusion[NAMES[true], NAMES[said]] += 1
        return confusion

    def go(self):
        for epoch in range(self.epochs):
            mean = self.train()
            confusion = self.test()
            right = sum(n for (true, said), n in confusion.items() if true == said)
            print(f"epoch {epoch}: loss {mean:.3f}, {right}/{confusion.total()} right")


if __name__ == "__main__":
    Runner().go()
