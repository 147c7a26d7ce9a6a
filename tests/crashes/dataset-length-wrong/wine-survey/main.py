from __future__ import annotations

import tempfile
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.data import DataLoader

from wine_csv import export_survey
from wine_dataset import WineSurvey


@dataclass
class Config:
    hidden: int = 32
    batch_size: int = 16
    epochs: int = 5
    lr: float = 3e-3
    seed: int = 11


def build_model(config: Config, n_features: int, n_classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(n_features, config.hidden),
        nn.BatchNorm1d(config.hidden),
        nn.GELU(),
        nn.Linear(config.hidden, n_classes),
    )


def run_epoch(model, loader, optimizer, loss_fn):
    model.train()
    losses = []
    for batch in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(batch["x"]), batch["y"])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return sum(losses) / len(losses)


def main() -> None:
    config = Config()
    torch.manual_seed(config.seed)
    with tempfile.TemporaryDirectory() as folder:
        dataset = WineSurvey(export_survey(folder, config.seed))
    print("columns:", len(dataset.columns))
    loader = DataLoader(dataset, batch_size=config.batch_size, shuffle=True)
    model = build_model(config, n_features=13, n_classes=3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr)
    loss_fn = nn.CrossEntropyLoss()
    for epoch in range(1, config.epochs + 1):
        print(f"[{epoch}] loss {run_epoch(model, loader, optimizer, loss_fn):.4f}")


if __name__ == "__main__":
    main()
