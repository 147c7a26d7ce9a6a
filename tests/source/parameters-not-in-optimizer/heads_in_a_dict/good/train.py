"""One encoder, three tasks: each has a head, found by the task's name."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


class MultiTask(nn.Module):
    def __init__(self, features=18, width=32):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(features, width), nn.GELU())
        self.heads = nn.ModuleDict(
            {
                "age": nn.Linear(width, 1),
                "income": nn.Linear(width, 1),
                "region": nn.Linear(width, 6),
            }
        )

    def forward(self, x):
        shared = self.encoder(x)
        return {task: head(shared) for task, head in self.heads.items()}


def loss_of(outputs, age, income, region):
    loss = F.mse_loss(outputs["age"].squeeze(1), age)
    loss = loss + F.mse_loss(outputs["income"].squeeze(1), income)
    return loss + F.cross_entropy(outputs["region"], region)


class Experiment:
    def __init__(self):
        self.model = MultiTask()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=2e-3)
        people = TensorDataset(
            torch.randn(90, 18), torch.rand(90), torch.rand(90), torch.randint(0, 6, (90,))
        )
        self.loader = DataLoader(people, batch_size=30, shuffle=True)

    def run(self, epochs):
        for epoch in range(epochs):
            for x, age, income, region in self.loader:
                loss = loss_of(self.model(x), age, income, region)
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
            print(epoch, loss.item())


torch.manual_seed(1)
Experiment().run(2)
