import random

import torch
from torch import nn
from torch.utils.data import DataLoader

SENTENCES = ["the cat sat", "a dog ran off", "birds sing at dawn", "fish swim deep"] * 8
VOCABULARY = {w: i + 1 for i, w in enumerate(sorted({w for s in SENTENCES for w in s.split()}))}


def encode(batch):
    rows, labels = [], []
    for sentence in batch:
        words = sentence.split()
        label = int(len(words) > 3)
        if random.random() < 0.5:
            words = words[::-1]
        numbers = [VOCABULARY[w] for w in words][:4]
        rows.append(numbers + [0] * (4 - len(numbers)))
        labels.append(label)
    return torch.tensor(rows), torch.tensor(labels)


class Bag(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.table = nn.Embedding(len(VOCABULARY) + 1, size, padding_idx=0)
        self.out = nn.Linear(size, 2)

    def forward(self, numbers):
        return self.out(self.table(numbers).mean(dim=1))


if __name__ == "__main__":
    torch.manual_seed(99)
    loader = DataLoader(SENTENCES, batch_size=8, shuffle=True, collate_fn=encode)
    model = Bag(16)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for epoch in range(5):
        for numbers, labels in loader:
            optimizer.zero_grad(set_to_none=True)
            loss = nn.functional.cross_entropy(model(numbers), labels)
            loss.backward()
            optimizer.step()
