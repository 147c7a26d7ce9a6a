"""A text classifier: which module of the standard library does this sentence describe?

The text is the documentation that every Python carries: the docstrings of seven modules, cut into
sentences. A sentence is the mean of its words' embeddings, followed by one linear layer.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import random
import re
from collections import Counter
from functools import partial

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

MODULES = ["difflib", "doctest", "inspect", "logging", "smtplib", "statistics", "tarfile"]
PAD, UNKNOWN = 0, 1  # word numbers that stand for "no word" and "a word never seen in training"
Sample = tuple[list[str], int]  # the words of a sentence, the position of its module in MODULES
Batch = tuple[Tensor, Tensor]  # word numbers (B, longest sentence), labels (B,)


def sentences_of(module_name: str) -> list[list[str]]:
    """Return the sentences of a module's docstrings as lists of words, each sentence once."""
    tree = ast.parse(inspect.getsource(importlib.import_module(module_name)))
    sentences: dict[tuple[str, ...], None] = {}  # a dict keeps the order, a set of strings doesn't
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            for sentence in re.split(r"[.!?:]\s+|\n\s*\n", ast.get_docstring(node) or ""):
                words = re.findall(r"[a-z]+", sentence.lower())
                if len(words) >= 5:
                    sentences[tuple(words)] = None
    return [list(words) for words in sentences]


def build_vocabulary(samples: list[Sample]) -> dict[str, int]:
    """Number the words that occur at least twice."""
    counts = Counter(word for words, _ in samples for word in words)
    frequent = [word for word, count in counts.items() if count >= 2]
    return {word: number for number, word in enumerate(frequent, start=UNKNOWN + 1)}


def collate(vocabulary: dict[str, int], samples: list[Sample]) -> Batch:
    """Turn sentences of different lengths into one batch, filled up with PAD."""
    rows = []
    for words, _ in samples:
        numbers = [vocabulary.get(word, UNKNOWN) for word in words]
        rows.append(torch.tensor(numbers, dtype=torch.long))  # Embedding looks up integers
    labels = torch.tensor([label for _, label in samples], dtype=torch.long)
    return pad_sequence(rows, batch_first=True, padding_value=PAD), labels


class MeanOfWords(nn.Module):
    def __init__(self, words: int, classes: int, size: int = 64) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, size, padding_idx=PAD)  # the vector of PAD stays zero
        self.dropout = nn.Dropout(0.3)
        self.output = nn.Linear(size, classes)

    def forward(self, numbers: Tensor) -> Tensor:
        lengths = (numbers != PAD).sum(dim=1, keepdim=True)  # the mean must not count the padding
        mean = self.embedding(numbers).sum(dim=1) / lengths
        return self.output(self.dropout(mean))


def seed_everything(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)  # the CPU's generator and those of all GPUs


@torch.no_grad()  # nothing is learned here, so no graph has to be built
def accuracy(model: nn.Module, loader: DataLoader[Batch], device: torch.device) -> float:
    model.eval()  # dropout is for training only
    correct, seen = 0, 0
    for numbers, labels in loader:
        numbers, labels = numbers.to(device), labels.to(device)
        correct += (model(numbers).argmax(dim=1) == labels).sum().item()
        seen += len(labels)
    return correct / seen


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    seed_everything(args.seed)  # before the first random number is drawn
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    samples = [(words, label) for label, name in enumerate(MODULES) for words in sentences_of(name)]
    train, test = train_test_split(
        samples, test_size=0.25, stratify=[label for _, label in samples], random_state=args.seed
    )
    vocabulary = build_vocabulary(train)  # of the training sentences: the test has to stay unseen
    collate_fn = partial(collate, vocabulary)
    train_loader = DataLoader(train, args.batch_size, shuffle=True, collate_fn=collate_fn)
    test_loader = DataLoader(test, args.batch_size, collate_fn=collate_fn)

    model = MeanOfWords(len(vocabulary) + 2, len(MODULES)).to(device)  # + 2: PAD and UNKNOWN
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)

    for epoch in range(1, args.epochs + 1):
        model.train()
        total_loss = 0.0
        for numbers, labels in train_loader:
            numbers, labels = numbers.to(device), labels.to(device)
            optimizer.zero_grad()  # backward() adds to the gradients that are already there
            loss = criterion(model(numbers), labels)
            loss.backward()
            optimizer.step()
            total_loss += loss.item() * len(labels)
        print(f"epoch {epoch:2d}  train loss {total_loss / len(train):.4f}")

    majority = Counter(label for _, label in train).most_common(1)[0][0]
    baseline = sum(label == majority for _, label in test) / len(test)
    print(f"test accuracy {accuracy(model, test_loader, device):.1%}, majority {baseline:.1%}")


if __name__ == "__main__":
    main()
