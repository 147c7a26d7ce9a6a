"""Numbers in words are written with digits: a reader and a writer, trained together."""

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

WORDS, DIGITS, LENGTH = 20, 11, 5
START = 10


class Pairs(Dataset):
    def __init__(self, count):
        generator = torch.Generator().manual_seed(1)
        self.words = torch.randint(0, WORDS, (count, LENGTH), generator=generator)

    def __len__(self):
        return len(self.words)

    def __getitem__(self, index):
        words = self.words[index]
        return words, words % 10


class Reader(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.table = nn.Embedding(WORDS, width)
        self.rnn = nn.GRU(width, width, batch_first=True)

    def forward(self, words):
        _, state = self.rnn(self.table(words))
        return state


class Writer(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.table = nn.Embedding(DIGITS, width)
        self.rnn = nn.GRU(width, width, batch_first=True)
        self.scores = nn.Linear(width, DIGITS)

    def forward(self, digits, state):
        out, state = self.rnn(self.table(digits), state)
        return self.scores(out), state


class Trainer:
    def __init__(self, width=32, rate=0.01):
        self.encoder = Reader(width)
        self.decoder = Writer(width)
        self.optimizer = torch.optim.Adam(self.encoder.parameters(), lr=rate)
        self.criterion = nn.CrossEntropyLoss()

    def step(self, words, digits):
        begin = torch.full((len(digits), 1), START)
        given = torch.cat([begin, digits[:, :-1]], dim=1)
        scores, _ = self.decoder(given, self.encoder(words))
        loss = self.criterion(scores.transpose(1, 2), digits)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def fit(self, loader, epochs):
        for epoch in range(epochs):
            losses = [self.step(words, digits) for words, digits in loader]
            print(epoch, round(sum(losses) / len(losses), 3))

    @torch.no_grad()
    def translate(self, words):
        state, last, found = self.encoder(words), torch.full((len(words), 1), START), []
        for _ in range(LENGTH):
            scores, state = self.decoder(last, state)
            last = scores.argmax(dim=2)
            found.append(last)
        return torch.cat(found, dim=1)


if __name__ == "__main__":
    torch.manual_seed(0)
    data = Pairs(256)
    trainer = Trainer()
    trainer.fit(DataLoader(data, batch_size=32, shuffle=True), epochs=3)
    print(trainer.translate(data.words[:4]))
