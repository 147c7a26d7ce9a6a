"""Cross validation: a new model and a new optimizer for every fold."""

import torch
from torch import nn
from torch.utils.data import DataLoader, Subset, TensorDataset

FOLDS, EPOCHS = 3, 2


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(5, 16)
        self.norm = nn.BatchNorm1d(16)
        self.out = nn.Linear(16, 1)

    def forward(self, x):
        return self.out(torch.relu(self.norm(self.hidden(x)))).squeeze(1)


def train_one_epoch(model, loader, optimizer, loss_fn):
    model.train()
    total = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        total = total + loss
    return total / len(loader)


def validate(model, loader, loss_fn):
    model.eval()
    losses = []
    with torch.no_grad():
        for x, y in loader:
            losses.append(loss_fn(model(x), y).item())
    return sum(losses) / len(losses)


def main():
    torch.manual_seed(21)
    x = torch.randn(120, 5)
    dataset = TensorDataset(x, (x.sum(dim=1) > 0).float())
    parts = torch.randperm(len(dataset)).chunk(FOLDS)
    results = []
    for fold in range(FOLDS):
        train_ids = torch.cat([part for i, part in enumerate(parts) if i != fold])
        train_loader = DataLoader(Subset(dataset, train_ids.tolist()), batch_size=20, shuffle=True)
        val_loader = DataLoader(Subset(dataset, parts[fold].tolist()), batch_size=20)
        model = Net()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        loss_fn = nn.BCEWithLogitsLoss()
        best = float("inf")
        for epoch in range(EPOCHS):
            train_loss = train_one_epoch(model, train_loader, optimizer, loss_fn)
            val_loss = validate(model, val_loader, loss_fn)
            best = min(best, val_loss)
            print(f"fold {fold} epoch {epoch}: {train_loss:.3f} {val_loss:.3f}")
        results.append(best)
    print("mean", sum(results) / FOLDS)


if __name__ == "__main__":
    main()
