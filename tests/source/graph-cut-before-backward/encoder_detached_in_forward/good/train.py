"""Classifies windows of a sensor's signal: an encoder of convolutions and a small head."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class WindowEncoder(nn.Module):
    def __init__(self, channels, width):
        super().__init__()
        self.conv1 = nn.Conv1d(channels, width, kernel_size=5, padding=2)
        self.conv2 = nn.Conv1d(width, width, kernel_size=5, padding=2)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        return x.mean(dim=2)


class WindowClassifier(nn.Module):
    def __init__(self, channels=3, width=16, classes=4):
        super().__init__()
        self.encoder = WindowEncoder(channels, width)
        self.head = nn.Sequential(nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, classes))

    def forward(self, windows):
        codes = self.encoder(windows)
        return self.head(codes)


def make_loader():
    signal = torch.randn(96, 3, 50)
    labels = torch.randint(0, 4, (96,))
    return DataLoader(TensorDataset(signal, labels), batch_size=32, shuffle=True)


def fit(model, loader, epochs):
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for windows, labels in loader:
            optimizer.zero_grad()
            loss = criterion(model(windows), labels)
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(f"epoch {epoch}: {total / len(loader):.3f}")


def main():
    torch.manual_seed(11)
    fit(WindowClassifier(), make_loader(), epochs=2)


if __name__ == "__main__":
    main()
