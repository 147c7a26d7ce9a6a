import argparse

import torch
from torch import nn

from data import get_loaders
from model import Regressor


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()

    torch.manual_seed(0)
    device = torch.device(args.device)
    train_loader, val_loader = get_loaders(args.batch_size)
    model = Regressor(n_features=10).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    criterion = nn.MSELoss()

    for epoch in range(1, args.epochs + 1):
        model.train()
        for features, progression in train_loader:
            features, progression = features.to(device), progression.to(device)
            optimizer.zero_grad()
            loss = criterion(model(features), progression)
            loss.backward()
            optimizer.step()

        model.eval()
        val_loss = 0.0
        with torch.no_grad():
            for features, progression in val_loader:
                prediction = model(features.to(device))
                val_loss += criterion(prediction, progression.to(device)).item()
        print(f"epoch {epoch:2d}  val loss {val_loss / len(val_loader):.4f}")


if __name__ == "__main__":
    main()
