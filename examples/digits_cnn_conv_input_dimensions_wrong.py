"""The digits CNN with one mistake: conv input dimensions wrong, TM104.

The data are the 1,797 scanned digits that come with scikit-learn: grey images of 8 x 8 pixels,
each labelled 0 to 9. A quarter of them is held back for the test and never trained on.
"""

from __future__ import annotations

import argparse
import random

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

Sample = tuple[Tensor, Tensor]  # an image and its label, or a batch of both


class Digits(Dataset[Sample]):
    """Pairs of an image, brightness from 0 to 1, and its label."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        # scikit-learn stores brightness as float64 from 0 to 16; layers compute in float32.
        self.images = torch.tensor(images / 16, dtype=torch.float32)
        self.labels = torch.tensor(labels, dtype=torch.long)  # class numbers have to be Long

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Sample:
        return self.images[index], self.labels[index]


class DigitsCNN(nn.Module):
    """Two convolutions, each followed by a pooling that halves height and width."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, kernel_size=3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(0.25)
        self.fc1 = nn.Linear(32 * 2 * 2, 64)  # channels * height * width of one feature map
        self.fc2 = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(torch.relu(self.conv1(x)))
        x = self.pool(torch.relu(self.conv2(x)))
        x = x.flatten(start_dim=1)  # dimension 0 is the batch and stays
        x = self.dropout(torch.relu(self.fc1(x)))
        return self.fc2(x)  # raw scores: CrossEntropyLoss applies the softmax itself


def seed_everything(seed: int) -> None:
    """Seed every generator that a training run may draw from."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)  # the CPU's generator and those of all GPUs
    torch.backends.cudnn.deterministic = True  # the same convolution algorithm in every run


def train_one_epoch(
    model: nn.Module,
    loader: DataLoader[Sample],
    criterion: nn.Module,
    optimizer: torch.optim.Optimizer,
    device: torch.device,
) -> float:
    """Train on every batch once and return the mean loss of a sample."""
    model.train()
    total_loss, seen = 0.0, 0
    for images, labels in loader:
        images, labels = images.to(device), labels.to(device)
        optimizer.zero_grad()  # backward() adds to the gradients that are already there
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
        total_loss += loss.item() * len(labels)  # the last batch may be smaller: weigh by size
        seen += len(labels)
    return total_loss / seen


def evaluate(model: nn.Module, loader: DataLoader[Sample], device: torch.device) -> float:
    """Return the share of images whose digit is recognised."""
    model.eval()  # dropout is for training only
    correct, seen = 0, 0
    with torch.no_grad():  # nothing is learned here, so no graph has to be built
        for images, labels in loader:
            images, labels = images.to(device), labels.to(device)
            predicted = model(images).argmax(dim=1)  # dimension 1 holds the classes
            correct += (predicted == labels).sum().item()
            seen += len(labels)
    return correct / seen


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    seed_everything(args.seed)  # before the first random number is drawn
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    digits = load_digits()
    train_images, test_images, train_labels, test_labels = train_test_split(
        digits.images, digits.target, test_size=0.25, stratify=digits.target, random_state=args.seed
    )
    train_loader = DataLoader(
        Digits(train_images, train_labels), batch_size=args.batch_size, shuffle=True
    )
    test_loader = DataLoader(Digits(test_images, test_labels), batch_size=args.batch_size)

    model = DigitsCNN().to(device)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

    for epoch in range(1, args.epochs + 1):
        loss = train_one_epoch(model, train_loader, criterion, optimizer, device)
        accuracy = evaluate(model, test_loader, device)
        print(f"epoch {epoch:2d}  train loss {loss:.4f}  test accuracy {accuracy:.1%}")


if __name__ == "__main__":
    main()
