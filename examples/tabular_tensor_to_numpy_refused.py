"""The tabular network with one mistake: tensor to numpy refused, TM303.

The table is the Wisconsin breast cancer data that come with scikit-learn: 569 tumours, each with
30 measurements of its cells. A quarter of them is held back for the test and never trained on.
"""

from __future__ import annotations

import argparse
import random

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset


class TumourNet(nn.Module):
    """Two layers that end in one number a tumour: above zero means malignant."""

    def __init__(self, features: int, hidden: int = 32) -> None:
        super().__init__()
        self.first = nn.Linear(features, hidden)
        self.norm = nn.BatchNorm1d(hidden)
        self.dropout = nn.Dropout(0.5)
        self.last = nn.Linear(hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(torch.relu(self.norm(self.first(x))))
        return self.last(x).squeeze(1)  # (B, 1) -> (B,), the shape that the labels have


def seed_everything(seed: int) -> None:
    """Seed every generator that a training run may draw from."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)  # the CPU's generator and those of all GPUs


def make_dataset(features: np.ndarray, labels: np.ndarray) -> TensorDataset:
    inputs = torch.from_numpy(features).float()  # NumPy computes in float64, layers in float32
    targets = torch.from_numpy(labels).float()  # BCEWithLogitsLoss compares with floats
    return TensorDataset(inputs, targets)


def train_one_epoch(
    model: nn.Module,
    loader: DataLoader[tuple[Tensor, ...]],
    criterion: nn.Module,
    optimizer: torch.optim.Optimizer,
    device: torch.device,
) -> float:
    """Train on every batch once and return the mean loss of a sample."""
    model.train()  # dropout on, and BatchNorm uses the statistics of the batch
    total_loss, seen = 0.0, 0
    for inputs, targets in loader:
        inputs, targets = inputs.to(device), targets.to(device)
        optimizer.zero_grad()  # backward() adds to the gradients that are already there
        loss = criterion(model(inputs), targets)
        loss.backward()
        optimizer.step()
        total_loss += loss.item() * len(targets)
        seen += len(targets)
    return total_loss / seen


@torch.no_grad()  # nothing is learned here, so no graph has to be built
def evaluate(
    model: nn.Module, loader: DataLoader[tuple[Tensor, ...]], device: torch.device
) -> tuple[float, float]:
    """Return the accuracy and the share of malignant tumours that are found."""
    model.eval()  # dropout off, and BatchNorm uses the statistics gathered in training
    correct, seen, found, malignant = 0, 0, 0, 0
    for inputs, targets in loader:
        inputs, targets = inputs.to(device), targets.to(device) == 1
        answers = model(inputs) > 0  # the sigmoid of 0 is 0.5
        correct += (answers == targets).sum().item()
        found += (answers & targets).sum().item()
        malignant += targets.sum().item()
        seen += len(targets)
    return correct / seen, found / malignant


def strongest_features(model: TumourNet, names: np.ndarray, count: int = 3) -> list[str]:
    """Name the inputs with the largest weights; they compare because inputs are standardised."""
    strength = model.first.weight.abs().mean(dim=0)
    order = strength.cpu().numpy().argsort()[::-1]
    return [str(names[position]) for position in order[:count]]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    seed_everything(args.seed)  # before the first random number is drawn
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    table = load_breast_cancer()
    malignant = 1 - table.target  # in the table 0 means malignant
    train_x, test_x, train_y, test_y = train_test_split(
        table.data, malignant, test_size=0.25, stratify=malignant, random_state=args.seed
    )
    scaler = StandardScaler().fit(train_x)  # of the training part: the test has to stay unseen
    train_set = make_dataset(scaler.transform(train_x), train_y)
    test_set = make_dataset(scaler.transform(test_x), test_y)
    leaves_one = len(train_set) % args.batch_size == 1  # BatchNorm can't normalise a batch of one
    train_loader = DataLoader(train_set, args.batch_size, shuffle=True, drop_last=leaves_one)
    test_loader = DataLoader(test_set, args.batch_size)

    model = TumourNet(features=train_x.shape[1]).to(device)
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

    for epoch in range(1, args.epochs + 1):
        loss = train_one_epoch(model, train_loader, criterion, optimizer, device)
        accuracy, recall = evaluate(model, test_loader, device)
        print(f"epoch {epoch:2d}  loss {loss:.4f}  accuracy {accuracy:.1%}  found {recall:.1%}")
    print("strongest features:", ", ".join(strongest_features(model, table.feature_names)))


if __name__ == "__main__":
    main()
