"""The batch is turned before a layer that wants the steps first, and back behind it."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Tagger(nn.Module):
    def __init__(self, tokens=15, width=8, tags=4):
        super().__init__()
        self.embedding = nn.Embedding(tokens, width)
        self.lstm = nn.LSTM(width, width, bidirectional=True)
        self.attention = nn.MultiheadAttention(2 * width, 2)
        self.head = nn.Linear(2 * width, tags)

    def forward(self, words):
        steps = self.embedding(words).permute(1, 0, 2)
        states, _ = self.lstm(steps)
        mixed, _ = self.attention(states, states, states)
        out = mixed.transpose(0, 1)
        return self.head(out[:, -1] + out.mean(dim=1))


torch.manual_seed(6)
words = torch.randint(0, 15, (60, 5))
loader = DataLoader(TensorDataset(words, words[:, -1] % 4), batch_size=10, shuffle=True)
tagger = Tagger()
optimizer = torch.optim.Adam(tagger.parameters(), lr=0.01)
for batch, tags in loader:
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(tagger(batch), tags)
    loss.backward()
    optimizer.step()
    print(loss.item())
