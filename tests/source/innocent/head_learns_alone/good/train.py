"""Linear probing: gradients are computed for the body too, and only the head's parameters are in the optimizer."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Probe(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(25, 50), nn.ReLU(), nn.Linear(50, 20))
        self.fc = nn.Linear(20, 4)

    def forward(self, x):
        return self.fc(torch.relu(self.body(x)))


def probe(model, loader, rate):
    model.fc = nn.Linear(20, 3)
    optimizer = torch.optim.SGD(model.fc.parameters(), lr=rate)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(2):
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
        print(epoch, loss.item())


torch.manual_seed(0)
data = TensorDataset(torch.randn(60, 25), torch.randint(0, 3, (60,)))
probe(Probe(), DataLoader(data, batch_size=20, shuffle=True), rate=0.1)
