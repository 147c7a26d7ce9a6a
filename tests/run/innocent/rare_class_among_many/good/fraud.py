"""Almost every payment is honest, so most batches of this table have one class; the order is that of arrival."""

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Payments(Dataset):
    def __init__(self, count=320):
        numbers = torch.arange(count)
        self.is_fraud = (numbers % 67 == 13).long()
        self.features = torch.stack([(numbers % 9) / 9, self.is_fraud + (numbers % 5) / 5], dim=1)

    def __len__(self):
        return len(self.is_fraud)

    def __getitem__(self, index):
        return {"features": self.features[index], "label": self.is_fraud[index]}


def fit(model, loader, epochs):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    weight = torch.tensor([1.0, 20.0])
    for epoch in range(epochs):
        for batch in loader:
            loss = nn.functional.cross_entropy(model(batch["features"]), batch["label"], weight=weight)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(epoch, loss.item())


if __name__ == "__main__":
    torch.manual_seed(5)
    fit(nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2)), DataLoader(Payments(), batch_size=16), 3)
