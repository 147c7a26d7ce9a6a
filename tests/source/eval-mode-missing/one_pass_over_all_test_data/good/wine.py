"""A table that fits into one batch: after each epoch the accuracy on all rows of the test half."""

import torch
from torch import nn

CONFIG = {
    "seed": 3,
    "widths": (16, 16),
    "drop": 0.3,
    "lr": 5e-3,
    "epochs": 3,
    "batch": 20,
}


def table(count=120, columns=7):
    rows = torch.randn(count, columns)
    kinds = rows[:, :3].argmax(dim=1)
    half = count // 2
    return rows[:half], kinds[:half], rows[half:], kinds[half:]


def build(columns, classes, widths, drop):
    layers = []
    for width in widths:
        layers += [nn.Linear(columns, width), nn.ReLU(), nn.Dropout(drop)]
        columns = width
    return nn.Sequential(*layers, nn.Linear(columns, classes))


def minibatches(rows, kinds, size):
    for part in torch.randperm(len(rows)).split(size):
        yield rows[part], kinds[part]


def main(cfg):
    torch.manual_seed(cfg["seed"])
    train_x, train_y, test_x, test_y = table()
    net = build(train_x.shape[1], 3, cfg["widths"], cfg["drop"])
    optimizer = torch.optim.AdamW(net.parameters(), lr=cfg["lr"])
    criterion = nn.CrossEntropyLoss(label_smoothing=0.05)
    for epoch in range(cfg["epochs"]):
        net.train()
        for rows, kinds in minibatches(train_x, train_y, cfg["batch"]):
            optimizer.zero_grad()
            loss = criterion(net(rows), kinds)
            loss.backward()
            optimizer.step()
        net.eval()
        with torch.no_grad():
            right = net(test_x).argmax(1) == test_y
        print(f"epoch {epoch}: last loss {loss:.3f}, right {right.sum()} of {len(test_y)}")


if __name__ == "__main__":
    main(CONFIG)
