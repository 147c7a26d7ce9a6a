"""Training and test set are one table; each class knows which rows are its own."""

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

TRAINING, TEST = 192, 64


def table():
    source = torch.Generator().manual_seed(3)
    inputs = torch.randn(TRAINING + TEST, 5, generator=source)
    return inputs, inputs.pow(2).sum(dim=1, keepdim=True)


class Training(Dataset):
    def __init__(self, inputs, targets):
        self.inputs, self.targets = inputs, targets

    def __len__(self):
        return TRAINING

    def __getitem__(self, index):
        return self.inputs[index], self.targets[index]


class Test(Training):
    def __len__(self):
        return TEST

    def __getitem__(self, index):
        return super().__getitem__(TRAINING + index)


def main():
    torch.manual_seed(1)
    inputs, targets = table()
    loader = DataLoader(Training(inputs, targets), batch_size=32, shuffle=True)
    test_loader = DataLoader(Test(inputs, targets), batch_size=32)
    model = nn.Sequential(nn.Linear(5, 20), nn.Tanh(), nn.Linear(20, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for epoch in range(3):
        model.train()
        for x, y in loader:
            optimizer.zero_grad()
            nn.functional.mse_loss(model(x), y).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            error = sum(nn.functional.mse_loss(model(x), y).item() for x, y in test_loader)
        print(epoch, error)


main()
