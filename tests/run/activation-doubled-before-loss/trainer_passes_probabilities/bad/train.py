import torch
import torch.nn.functional as F
from torch import nn


class Trainer:
    def __init__(self, net, lr):
        self.net = net
        self.optimizer = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9)
        self.history = []

    def step(self, batch, labels):
        self.net.train()
        probabilities = F.softmax(self.net(batch), dim=-1)
        loss = F.cross_entropy(probabilities, labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        hits = (probabilities.argmax(dim=-1) == labels).float().mean()
        self.history.append((loss.item(), hits.item()))


class Flowers:
    """Three kinds in clusters of four measures."""

    def __init__(self, count):
        self.labels = torch.randint(0, 3, (count,))
        centres = torch.tensor([[0.0, 1.0, 0.0, 2.0], [2.0, 0.0, 1.0, 0.0], [1.0, 2.0, 2.0, 1.0]])
        self.measures = centres[self.labels] + 0.3 * torch.randn(count, 4)

    def batches(self, size):
        order = torch.randperm(len(self.labels))
        for part in order.split(size):
            yield self.measures[part], self.labels[part]


torch.manual_seed(1)
flowers = Flowers(120)
trainer = Trainer(nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3)), lr=0.05)
for epoch in range(3):
    for measures, labels in flowers.batches(24):
        trainer.step(measures, labels)
    print(epoch, trainer.history[-1])
