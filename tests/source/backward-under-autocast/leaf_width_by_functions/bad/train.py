"""The width of a leaf from its weights, by a perceptron: one function for each task."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def make_loaders():
    weights = torch.rand(120, 6)
    widths = weights @ torch.linspace(-1, 1, 6).unsqueeze(1)
    train = TensorDataset(weights[:96], widths[:96])
    test = TensorDataset(weights[96:], widths[96:])
    return DataLoader(train, batch_size=24, shuffle=True), DataLoader(test, batch_size=24)


def make_model(hidden):
    return nn.Sequential(nn.Linear(6, hidden), nn.Tanh(), nn.Linear(hidden, 1))


def train_one_epoch(model, loader, criterion, optimizer, scaler):
    model.train()
    total = 0.0
    for inputs, targets in loader:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda"):
            predicted = model(inputs)
            loss = criterion(predicted, targets)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        total += loss.item()
    return total / len(loader)


@torch.no_grad()
def evaluate(model, loader, criterion):
    model.eval()
    return sum(criterion(model(x), y).item() for x, y in loader) / len(loader)


def main():
    torch.manual_seed(5)
    train_loader, test_loader = make_loaders()
    model = make_model(hidden=16)
    criterion = nn.MSELoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    scaler = torch.amp.GradScaler("cuda")
    for epoch in range(3):
        trained = train_one_epoch(model, train_loader, criterion, optimizer, scaler)
        print(epoch, round(trained, 4), round(evaluate(model, test_loader, criterion), 4))


if __name__ == "__main__":
    main()
