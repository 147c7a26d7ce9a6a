from __future__ import annotations

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset


class Digits(Dataset[tuple[Tensor, int]]):
    """The 8 x 8 digits of scikit-learn; every fifth one is kept for testing."""

    def __init__(self, train: bool, limit: int = 1000) -> None:
        bunch = load_digits()
        keep = [i for i in range(limit) if (i % 5 != 0) == train]
        self.images = bunch.images[keep]
        self.labels = bunch.target[keep]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = torch.tensor(self.images[index] / 16, dtype=torch.float32)
        return image, int(self.labels[index])


class LeNetMini(nn.Module):
    def __init__(self, n_classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, kernel_size=3, padding=1)
        self.fc = nn.Linear(32 * 2 * 2, n_classes)

    def features(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        return F.max_pool2d(F.relu(self.conv2(x)), 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.features(x).flatten(1))


def fit(model: nn.Module, loader: DataLoader, epochs: int, lr: float) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for images, labels in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(f"epoch {epoch + 1}/{epochs} loss {total / len(loader):.4f}")


@torch.inference_mode()
def test(model: nn.Module, loader: DataLoader) -> float:
    model.eval()
    right = sum(int((model(x).argmax(1) == y).sum()) for x, y in loader)
    return right / len(loader.dataset)


if __name__ == "__main__":
    torch.manual_seed(9)
    net = LeNetMini()
    fit(net, DataLoader(Digits(train=True), batch_size=64, shuffle=True), epochs=2, lr=3e-3)
    print("accuracy", test(net, DataLoader(Digits(train=False), batch_size=100)))
