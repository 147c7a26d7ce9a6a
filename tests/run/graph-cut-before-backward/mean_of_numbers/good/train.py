"""The loss of a batch is the mean over its sentences, which have different lengths."""

import torch
from torch import nn, optim


class Counter(nn.Module):
    """Tells how often the first token of a sentence occurs in it."""

    def __init__(self, tokens=9, width=12):
        super().__init__()
        self.embedding = nn.Embedding(tokens, width)
        self.encoder = nn.LSTM(width, width, batch_first=True)
        self.head = nn.Linear(width, 1)

    def forward(self, sentence):
        encoded, _ = self.encoder(self.embedding(sentence))
        return self.head(encoded[:, -1])


def sentences(count):
    for _ in range(count):
        sentence = torch.randint(9, (1, int(torch.randint(3, 8, (1,)))))
        yield sentence, (sentence == sentence[0, 0]).float().sum().view(1, 1)


def batch_loss(model, criterion, batch):
    losses = []
    for sentence, times in batch:
        loss = criterion(model(sentence), times)
        losses.append(loss)
    mean = torch.stack(losses).mean()
    return mean


def main():
    torch.manual_seed(6)
    data = list(sentences(48))
    model, criterion = Counter(), nn.MSELoss()
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    for epoch in range(3):
        total = 0.0
        for start in range(0, len(data), 8):
            optimizer.zero_grad()
            loss = batch_loss(model, criterion, data[start : start + 8])
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(epoch, total / 6)


if __name__ == "__main__":
    main()
