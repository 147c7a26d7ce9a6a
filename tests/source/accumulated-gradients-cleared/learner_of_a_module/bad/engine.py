"""One pass over a batch, for whoever writes the loop."""

import torch
import torch.nn.functional as F


class Learner:
    def __init__(self, network, rate, group):
        self.network = network
        self.optimizer = torch.optim.SGD(network.parameters(), lr=rate, momentum=0.9)
        self.group = group
        self.history = []

    def learn(self, number, batch):
        """Adds the batch's gradients, and takes a step when the group is full."""
        images, labels = batch
        self.optimizer.zero_grad()
        scores = self.network(images)
        loss = F.cross_entropy(scores, labels)
        self.history.append(loss.item())
        (loss / self.group).backward()
        if (number + 1) % self.group == 0:
            self.optimizer.step()

    def recent(self, count=8):
        last = self.history[-count:]
        return sum(last) / len(last)
