import argparse

import torch
from torch import nn


def freeze(module):
    for name, parameter in module.named_parameters():
        parameter.requires_grads = False


def build(args):
    model = nn.Sequential(
        nn.Embedding(args.words, 12),
        nn.Flatten(),
        nn.Linear(12 * 5, 20),
        nn.ReLU(),
        nn.Linear(20, 2),
    )
    if args.freeze:
        freeze(model[0])
    return model


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--words", type=int, default=30)
    parser.add_argument("--freeze", type=int, default=1)
    args = parser.parse_args()
    torch.manual_seed(0)
    model = build(args)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for step in range(15):
        words = torch.randint(0, args.words, (10, 5))
        loss = nn.functional.cross_entropy(model(words), (words.sum(dim=1) > 75).long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(loss.item())


main()
