# A language model of letters on one page of text. One step is taken for four slices of it.
import math

import torch
from torch import nn, optim
from torch.utils.data import DataLoader, Dataset

TEXT = "the quick brown fox jumps over the lazy dog and runs along the river until it is dark. " * 6
LETTERS = sorted(set(TEXT))
CODES = {letter: code for code, letter in enumerate(LETTERS)}


class Slices(Dataset):
    def __init__(self, text, length):
        self.codes = torch.tensor([CODES[letter] for letter in text])
        self.length = length

    def __len__(self):
        return (len(self.codes) - 1) // self.length

    def __getitem__(self, index):
        begin = index * self.length
        part = self.codes[begin : begin + self.length + 1]
        return part[:-1], part[1:]


class Letters(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.table = nn.Embedding(len(LETTERS), width)
        self.memory = nn.LSTM(width, width, batch_first=True)
        self.next = nn.Linear(width, len(LETTERS))

    def forward(self, codes):
        out, _ = self.memory(self.table(codes))
        return self.next(out)


def train(model, data, epochs=3):
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    measure = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        sums = []
        for index, (codes, following) in enumerate(data):
            scores = model(codes)
            loss = measure(scores.reshape(-1, len(LETTERS)), following.reshape(-1))
            sums.append(loss.item())
            loss /= 4
            loss.backward()
            if index % 4 == 3:
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
            optimizer.zero_grad()
        print("perplexity", round(math.exp(sum(sums) / len(sums)), 2))


torch.manual_seed(1)
train(Letters(32), DataLoader(Slices(TEXT, 16), batch_size=2, shuffle=True))
