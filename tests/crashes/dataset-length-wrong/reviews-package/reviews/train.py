import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader

from .corpus import Vocabulary, make_reviews
from .data import ReviewDataset, collate
from .model import SentimentModel


def parse_args():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--reviews", type=int, default=300)
    parser.add_argument("--lr", type=float, default=1e-2)
    return parser.parse_args()


def main():
    args = parse_args()
    torch.manual_seed(0)
    reviews = make_reviews(args.reviews, seed=3)
    vocabulary = Vocabulary(text for text, _ in reviews)
    loader = DataLoader(
        ReviewDataset(reviews, vocabulary), batch_size=32, collate_fn=collate, drop_last=False
    )

    model = SentimentModel(len(vocabulary))
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    loss_fn = nn.CrossEntropyLoss()
    for epoch in range(args.epochs):
        seen = correct = 0
        for ids, lengths, labels in loader:
            logits = model(ids, lengths)
            loss = loss_fn(logits, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seen += len(labels)
            correct += (logits.argmax(1) == labels).sum().item()
        print(f"epoch {epoch}: {correct}/{seen} right")


if __name__ == "__main__":
    main()
