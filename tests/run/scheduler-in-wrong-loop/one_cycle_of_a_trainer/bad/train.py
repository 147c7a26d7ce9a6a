from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, TensorDataset


def made_up(count: int) -> TensorDataset:
    """Two features of a flower, and which of three kinds it is."""
    kinds = torch.randint(3, (count,))
    centers = torch.tensor([[0.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    return TensorDataset(centers[kinds] + 0.4 * torch.randn(count, 2), kinds)


class Trainer:
    def __init__(self, model: nn.Module, train: DataLoader, valid: DataLoader, epochs: int) -> None:
        self.model = model
        self.train, self.valid = train, valid
        self.epochs = epochs
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2)
        self.scheduler = OneCycleLR(
            self.optimizer,
            max_lr=1e-2,
            epochs=epochs,
            steps_per_epoch=len(train),
        )

    def fit(self) -> None:
        for epoch in range(self.epochs):
            self.model.train()
            for features, kinds in self.train:
                self.step(features, kinds)
            self.scheduler.step()
            print(f"{epoch}: {self.accuracy():.2f}")

    def step(self, features: Tensor, kinds: Tensor) -> None:
        loss = nn.functional.cross_entropy(self.model(features), kinds)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    @torch.inference_mode()
    def accuracy(self) -> float:
        self.model.eval()
        right = [self.model(features).argmax(dim=1) == kinds for features, kinds in self.valid]
        return torch.cat(right).float().mean().item()


def main() -> None:
    torch.manual_seed(3)
    train = DataLoader(made_up(160), batch_size=16, shuffle=True)
    valid = DataLoader(made_up(48), batch_size=48)
    model = nn.Sequential(nn.Linear(2, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))
    Trainer(model, train, valid, epochs=5).fit()


if __name__ == "__main__":
    main()
