import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

PAD, BOS = 0, 1


class Reversal(Dataset):
    """Numbers, and the same numbers in reverse order after a BOS."""

    def __init__(self, count, length=6, symbols=10):
        self.sources = torch.randint(2, symbols, (count, length))
        begin = torch.full((count, 1), BOS)
        self.targets = torch.cat([begin, self.sources.flip(1)], dim=1)

    def __len__(self):
        return len(self.sources)

    def __getitem__(self, index):
        return self.sources[index], self.targets[index]


class Encoder(nn.Module):
    def __init__(self, symbols, emb, hid):
        super().__init__()
        self.embedding = nn.Embedding(symbols, emb, padding_idx=PAD)
        self.rnn = nn.GRU(emb, hid, batch_first=True)

    def forward(self, source):
        outputs, hidden = self.rnn(self.embedding(source))
        return outputs, hidden


class Attention(nn.Module):
    def __init__(self, hid):
        super().__init__()
        self.score = nn.Linear(2 * hid, hid)
        self.v = nn.Linear(hid, 1, bias=False)

    def forward(self, query, keys):
        query = query.unsqueeze(1).expand_as(keys)
        energy = torch.tanh(self.score(torch.cat([query, keys], dim=-1)))
        weights = F.softmax(self.v(energy).squeeze(-1), dim=-1)
        return torch.bmm(weights.unsqueeze(1), keys).squeeze(1)


class Decoder(nn.Module):
    def __init__(self, symbols, emb, hid):
        super().__init__()
        self.embedding = nn.Embedding(symbols, emb)
        self.attention = Attention(hid)
        self.cell = nn.GRUCell(emb + hid, hid)
        self.out = nn.Linear(2 * hid, symbols)

    def forward(self, target, hidden, keys):
        hidden = hidden.squeeze(0)
        scores = []
        for t in range(target.size(1)):
            context = self.attention(hidden, keys)
            step = torch.cat([self.embedding(target[:, t]), context], dim=1)
            hidden = self.cell(step, hidden)
            scores.append(self.out(torch.cat([hidden, context], dim=1)))
        return torch.stack(scores, dim=1)


def main():
    torch.manual_seed(17)
    symbols, emb, hid = 10, 8, 16
    loader = DataLoader(Reversal(96), batch_size=24, shuffle=True)
    encoder, decoder = Encoder(symbols, emb, hid), Decoder(symbols, emb, hid)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=5e-3)
    for epoch in range(2):
        for source, target in loader:
            keys, hidden = encoder(source)
            scores = decoder(target[:, :-1], hidden, keys)
            loss = F.cross_entropy(scores.transpose(1, 2), target[:, 1:], ignore_index=PAD)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch}: {loss.item():.3f}")


main()
