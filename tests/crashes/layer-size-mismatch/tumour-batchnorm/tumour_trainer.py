"""Benign or malignant? A small feed-forward net on the breast-cancer table."""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.utils.data import DataLoader, Dataset, random_split


@dataclass(frozen=True)
class Hyper:
    hidden: int = 64
    bottleneck: int = 32
    batch_size: int = 48
    max_epochs: int = 4
    patience: int = 2
    lr: float = 1e-3


class CellTable(Dataset):
    def __init__(self):
        table = load_breast_cancer()
        raw = table.data.astype(np.float32)
        self.cells = torch.from_numpy((raw - raw.mean(0)) / raw.std(0))
        self.malignant = torch.from_numpy(1 - table.target).float()

    def __len__(self):
        return len(self.malignant)

    def __getitem__(self, i):
        return self.cells[i], self.malignant[i]


class CellNet(nn.Module):
    def __init__(self, n_features: int, hp: Hyper):
        super().__init__()
        self.lift = nn.Linear(n_features, hp.hidden)
        self.lift_bn = nn.BatchNorm1d(hp.hidden)
        self.squash = nn.Linear(hp.hidden, hp.bottleneck)
        self.squash_bn = nn.BatchNorm1d(hp.hidden)
        self.out = nn.Linear(hp.bottleneck, 1)

    def forward(self, cells):
        h = torch.relu(self.lift_bn(self.lift(cells)))
        h = torch.relu(self.squash_bn(self.squash(h)))
        return self.out(h).squeeze(1)


class Trainer:
    def __init__(self, model, train_set, valid_set, hp):
        self.model = model
        self.hp = hp
        self.train_loader = DataLoader(train_set, hp.batch_size, shuffle=True)
        self.valid_loader = DataLoader(valid_set, 256)
        self.optimizer = torch.optim.Adam(model.parameters(), lr=hp.lr)
        self.loss_fn = nn.BCEWithLogitsLoss()
        self.best = 0.0
        self.bad_epochs = 0

    def step(self, cells, malignant):
        self.optimizer.zero_grad()
        loss = self.loss_fn(self.model(cells), malignant)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def validate(self):
        self.model.eval()
        scores, truth = [], []
        with torch.no_grad():
            for cells, malignant in self.valid_loader:
                scores.append(torch.sigmoid(self.model(cells)))
                truth.append(malignant)
        return roc_auc_score(torch.cat(truth).numpy(), torch.cat(scores).numpy())

    def fit(self):
        for epoch in range(self.hp.max_epochs):
            self.model.train()
            losses = [self.step(*batch) for batch in self.train_loader]
            auc = self.validate()
            print(f"{epoch}: loss={np.mean(losses):.4f} auc={auc:.4f}")
            if auc > self.best:
                self.best, self.bad_epochs = auc, 0
            else:
                self.bad_epochs += 1
                if self.bad_epochs >= self.hp.patience:
                    print("early stop")
                    break
        return self.best


if __name__ == "__main__":
    torch.manual_seed(3)
    hp = Hyper()
    table = CellTable()
    train_set, valid_set = random_split(table, [0.8, 0.2])
    trainer = Trainer(CellNet(table.cells.shape[1], hp), train_set, valid_set, hp)
    print(f"best AUC {trainer.fit():.4f}")
