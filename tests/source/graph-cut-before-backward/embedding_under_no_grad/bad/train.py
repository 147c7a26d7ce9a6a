"""Sorts tickets by topic: word vectors are averaged and classified."""

import argparse

import torch
from torch import nn


class TicketModel(nn.Module):
    def __init__(self, words, width, topics):
        super().__init__()
        self.vectors = nn.Embedding(words, width, padding_idx=0)
        self.classify = nn.Sequential(nn.Linear(width, 64), nn.ReLU(), nn.Linear(64, topics))

    def forward(self, tickets):
        with torch.no_grad():
            pooled = self.vectors(tickets).mean(dim=1)
        return self.classify(pooled)


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--width", type=int, default=24)
    parser.add_argument("--lr", type=float, default=3e-3)
    return parser.parse_args()


def batches(tickets, topics, size):
    order = torch.randperm(len(tickets))
    for start in range(0, len(tickets), size):
        chosen = order[start : start + size]
        yield tickets[chosen], topics[chosen]


def main():
    args = parse()
    torch.manual_seed(0)
    tickets = torch.randint(1, 500, (120, 12))
    topics = torch.randint(0, 5, (120,))
    model = TicketModel(500, args.width, 5)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    loss_function = nn.CrossEntropyLoss()
    for epoch in range(args.epochs):
        model.train()
        for batch, wanted in batches(tickets, topics, 30):
            optimizer.zero_grad()
            loss = loss_function(model(batch), wanted)
            loss.backward()
            optimizer.step()
        print(epoch, loss.item())


if __name__ == "__main__":
    main()
