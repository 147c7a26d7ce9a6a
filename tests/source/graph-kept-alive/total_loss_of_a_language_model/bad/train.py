import math

import torch
from torch import nn


class Corpus:
    def __init__(self, length=400, vocabulary=20, seed=0):
        generator = torch.Generator().manual_seed(seed)
        ids = torch.randint(0, vocabulary, (length,), generator=generator)
        self.train, self.valid = ids[:300], ids[300:]
        self.vocabulary = vocabulary


def batchify(ids, batch_size):
    count = ids.size(0) // batch_size
    return ids[: count * batch_size].view(batch_size, -1).t().contiguous()


class RNNModel(nn.Module):
    def __init__(self, vocabulary, width=16, dropout=0.2):
        super().__init__()
        self.drop = nn.Dropout(0.2)
        self.encoder = nn.Embedding(vocabulary, width)
        self.rnn = nn.GRU(width, width)
        self.decoder = nn.Linear(width, vocabulary)
        self.width = width

    def forward(self, ids, hidden):
        embedded = self.drop(self.encoder(ids))
        output, hidden = self.rnn(embedded, hidden)
        return self.decoder(self.drop(output)), hidden

    def init_hidden(self, batch_size):
        return torch.zeros(1, batch_size, self.width)


def get_batch(source, i, bptt):
    length = min(bptt, len(source) - 1 - i)
    return source[i : i + length], source[i + 1 : i + 1 + length].reshape(-1)


def train_epoch(model, source, optimizer, criterion, bptt=5):
    model.train()
    total_loss = 0.0
    hidden = model.init_hidden(source.size(1))
    for i in range(0, source.size(0) - 1, bptt):
        data, targets = get_batch(source, i, bptt)
        hidden = hidden.detach()
        optimizer.zero_grad()
        output, hidden = model(data, hidden)
        loss = criterion(output.view(-1, output.size(-1)), targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        optimizer.step()
        total_loss += loss
    return total_loss


def evaluate(model, source, criterion, bptt=5):
    model.eval()
    total_loss = 0.0
    hidden = model.init_hidden(source.size(1))
    with torch.no_grad():
        for i in range(0, source.size(0) - 1, bptt):
            data, targets = get_batch(source, i, bptt)
            output, hidden = model(data, hidden)
            loss = criterion(output.view(-1, output.size(-1)), targets)
            total_loss += len(data) * loss.item()
    return total_loss / (len(source) - 1)


def main():
    torch.manual_seed(11)
    corpus = Corpus()
    train_data, val_data = batchify(corpus.train, 10), batchify(corpus.valid, 10)
    model = RNNModel(corpus.vocabulary)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(2):
        loss = train_epoch(model, train_data, optimizer, criterion)
        val_loss = evaluate(model, val_data, criterion)
        print(f"{epoch}: loss {loss:.2f}, perplexity {math.exp(val_loss):.2f}")


if __name__ == "__main__":
    main()
