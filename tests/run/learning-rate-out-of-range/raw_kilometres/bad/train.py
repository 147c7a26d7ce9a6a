import torch
from torch import nn


class Fit:
    def __init__(self, lr):
        self.model = nn.Linear(2, 1)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=lr)

    def run(self, inputs, targets, epochs):
        for epoch in range(epochs):
            loss = nn.functional.mse_loss(self.model(inputs), targets)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return loss.item()


torch.manual_seed(1)
kilometres = torch.rand(48, 2) * 30
minutes = kilometres @ torch.tensor([[1.5], [0.7]]) + 4
print(Fit(lr=0.02).run(kilometres, minutes, epochs=25))
