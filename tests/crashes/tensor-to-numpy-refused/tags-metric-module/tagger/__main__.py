import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tagger.metrics import Running, micro_f1
from tagger.texts import TOPICS, VOCABULARY, make_texts


def build(hidden):
    return nn.Sequential(
        nn.Linear(len(VOCABULARY), hidden),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(hidden, len(TOPICS)),
    )


def epoch(model, loader, optimizer=None):
    loss_mean, f1_mean = Running(), Running()
    model.train(optimizer is not None)
    for bags, tags in loader:
        logits = model(bags)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, tags)
        if optimizer is not None:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        loss_mean.add(loss.item(), len(bags))
        f1_mean.add(micro_f1(logits, tags), len(bags))
    return loss_mean.mean, f1_mean.mean


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--hidden", type=int, default=24)
    p.add_argument("--epochs", type=int, default=4)
    a = p.parse_args()

    torch.manual_seed(30)
    train = DataLoader(TensorDataset(*make_texts(600, 1)), batch_size=25, shuffle=True)
    valid = DataLoader(TensorDataset(*make_texts(150, 2)), batch_size=50)
    model = build(a.hidden)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for number in range(a.epochs):
        train_loss, train_f1 = epoch(model, train, optimizer)
        with torch.no_grad():
            valid_loss, valid_f1 = epoch(model, valid)
        print(f"{number}: {train_loss:.3f}/{valid_loss:.3f} F1 {train_f1:.3f}/{valid_f1:.3f}")
