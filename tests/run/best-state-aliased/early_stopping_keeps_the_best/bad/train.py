"""Regression of the yield of a crop on weather; training stops when the held-out error rises."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class EarlyStopping:
    def __init__(self, patience):
        self.patience = patience
        self.lowest = float("inf")
        self.waited = 0
        self.state = None

    def update(self, error, model):
        if error < self.lowest:
            self.lowest = error
            self.waited = 0
            self.state = model.state_dict()
        else:
            self.waited += 1
        return self.waited >= self.patience

    def restore(self, model):
        if self.state is not None:
            model.load_state_dict(self.state)


def build():
    return nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.BatchNorm1d(64), nn.Linear(64, 1))


def train(model, loader, optimizer):
    model.train()
    for weather, crop in loader:
        loss = nn.functional.mse_loss(model(weather), crop)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@torch.no_grad()
def error_on(model, weather, crop):
    model.eval()
    return nn.functional.mse_loss(model(weather), crop).item()


def main():
    torch.manual_seed(7)
    weather = torch.randn(96, 10)
    crop = weather[:, :2].sum(dim=1, keepdim=True) + 2 * torch.randn(96, 1)
    loader = DataLoader(TensorDataset(weather[:48], crop[:48]), batch_size=8, shuffle=True)
    model = build()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.01)
    stopping = EarlyStopping(patience=4)
    for epoch in range(40):
        train(model, loader, optimizer)
        error = error_on(model, weather[48:], crop[48:])
        print(f"epoch {epoch}: {error:.3f}")
        if stopping.update(error, model):
            break
    stopping.restore(model)
    print(f"restored: {error_on(model, weather[48:], crop[48:]):.3f}, best {stopping.lowest:.3f}")


if __name__ == "__main__":
    main()
