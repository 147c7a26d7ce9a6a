"""Which of two authors wrote a line? A batch is padded by a collate function that is given its alphabet beforehand."""

from functools import partial

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

LINES = [
    ("the raven sat upon the bust", 0),
    ("nevermore quoth the raven", 0),
    ("upon a midnight dreary", 0),
    ("shall i compare thee to a day", 1),
    ("rough winds do shake the buds", 1),
    ("thou art more lovely", 1),
] * 4


def collate(alphabet, lines):
    rows = []
    for text, _ in lines:
        numbers = [alphabet[letter] for letter in text]
        rows.append(torch.Tensor(numbers))
    authors = torch.tensor([author for _, author in lines])
    return pad_sequence(rows, batch_first=True), authors


class Author(nn.Module):
    def __init__(self, letters, size=16):
        super().__init__()
        self.embedding = nn.Embedding(letters, size, padding_idx=0)
        self.score = nn.Linear(size, 2)

    def forward(self, numbers):
        return self.score(self.embedding(numbers).mean(dim=1))


def main():
    torch.manual_seed(0)
    letters = sorted({letter for text, _ in LINES for letter in text})
    alphabet = {letter: number for number, letter in enumerate(letters, start=1)}
    loader = DataLoader(LINES, batch_size=6, shuffle=True, collate_fn=partial(collate, alphabet))
    model = Author(len(alphabet) + 1)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for epoch in range(3):
        total = 0.0
        for numbers, authors in loader:
            optimizer.zero_grad()
            loss = criterion(model(numbers), authors)
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(f"epoch {epoch}: {total / len(loader):.3f}")


if __name__ == "__main__":
    main()
