import argparse

import torch
from torch import nn


class Tagger(nn.Module):
    def __init__(self, words, tags, width=16):
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.lstm = nn.LSTM(width, width, batch_first=True, bidirectional=True)
        self.tags = nn.Linear(2 * width, tags)

    def forward(self, x):
        states, _ = self.lstm(self.words(x))
        return self.tags(states)


def sentences(count):
    for _ in range(count):
        words = torch.randint(0, 40, (8, 6))
        yield words, words % 4


def fit(args):
    model = Tagger(40, 4)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr)
    loss_fn = nn.CrossEntropyLoss()
    outputs = []
    for words, target in sentences(args.steps):
        optimizer.zero_grad()
        logits = model(words)
        loss = loss_fn(logits.flatten(0, 1), target.flatten())
        loss.backward()
        optimizer.step()
        outputs.append((logits, target))
    right = sum((l.argmax(dim=2) == t).sum().item() for l, t in outputs)
    print("training accuracy", right / sum(t.numel() for _, t in outputs))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--lr", type=float, default=0.01)
    torch.manual_seed(0)
    fit(parser.parse_args())
