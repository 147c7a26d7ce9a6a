"""A net that told ten kinds apart is trained further on seven new ones."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class KindNet(nn.Module):
    def __init__(self, kinds):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(30, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU())
        self.head = nn.Linear(48, kinds)

    def forward(self, x):
        return self.head(self.body(x))


def new_kinds():
    torch.manual_seed(6)
    data = TensorDataset(torch.randn(84, 30), torch.randint(0, 7, (84,)))
    return DataLoader(data, batch_size=28, shuffle=True)


def finetune(epochs=2):
    loader = new_kinds()
    model = KindNet(10)
    criterion = nn.CrossEntropyLoss()
    model.head = nn.Linear(48, 7)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)

    for epoch in range(epochs):
        model.train()
        seen = 0.0
        for x, kind in loader:
            optimizer.zero_grad()
            loss = criterion(model(x), kind)
            loss.backward()
            optimizer.step()
            seen += loss.item()
        print(epoch, seen / len(loader))
    return model


finetune()
