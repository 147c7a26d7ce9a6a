import random

import numpy as np
import torch
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn

from config import CONFIG
from mlp import build_mlp


def set_seed(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def load(cfg, seed):
    X, y = load_wine(return_X_y=True)
    X_tr, X_te, y_tr, y_te = train_test_split(
        X, y, test_size=cfg["test_fraction"], random_state=seed, stratify=y
    )
    scaler = StandardScaler().fit(X_tr)
    as_x = lambda a: torch.tensor(scaler.transform(a), dtype=torch.float32)
    as_y = lambda a: torch.tensor(a, dtype=torch.long)
    return as_x(X_tr), as_y(y_tr), as_x(X_te), as_y(y_te)


def minibatches(X, y, size):
    order = torch.randperm(len(X))
    for start in range(0, len(X), size):
        pick = order[start : start + size]
        yield X[pick], y[pick]


def main(cfg):
    set_seed(cfg["seed"])
    X_tr, y_tr, X_te, y_te = load(cfg["data"], cfg["seed"])
    net = build_mlp(X_tr.shape[1], 3, **cfg["model"])
    print(net)
    opt = torch.optim.AdamW(
        net.parameters(), lr=cfg["optim"]["lr"], weight_decay=cfg["optim"]["weight_decay"]
    )
    loss_fn = nn.CrossEntropyLoss(label_smoothing=0.05)
    for epoch in range(1, cfg["optim"]["epochs"] + 1):
        net.train()
        for xb, yb in minibatches(X_tr, y_tr, cfg["data"]["batch_size"]):
            loss = loss_fn(net(xb), yb)
            opt.zero_grad()
            loss.backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            acc = (net(X_te).argmax(1) == y_te).float().mean().item()
        print(f"epoch {epoch:2d}  last loss {loss.item():.3f}  acc {acc:.3f}")


if __name__ == "__main__":
    main(CONFIG)
