import itertools
import random

import torch
from torch import nn, optim
from torch.nn.utils.rnn import pad_sequence

WORDS = "hello hi there thanks bye how are you fine please help me with the train ticket".split()
INDEX = {word: number for number, word in enumerate(WORDS, start=1)}  # 0 is padding


def utterances(n):
    """Made-up lines of a call centre; those that ask for help are the ones to find."""
    for _ in range(n):
        words = random.choices(WORDS, k=random.randint(3, 9))
        yield words, "help" in words or "ticket" in words


def collate(lines):
    tokens = [torch.tensor([INDEX[w] for w in words]) for words, _ in lines]
    lengths = torch.tensor([len(t) for t in tokens])
    padded = pad_sequence(tokens, batch_first=True)
    is_padding = torch.zeros(padded.shape, dtype=torch.long)
    for row, length in enumerate(lengths):
        is_padding[row, length:] = 1
    wanted = torch.tensor([asks for _, asks in lines], dtype=torch.float32)
    return padded, is_padding, wanted


def batched(items, size):
    items = iter(items)
    while chunk := list(itertools.islice(items, size)):
        yield collate(chunk)


class RequestFinder(nn.Module):
    def __init__(self, dim=16, heads=2):
        super().__init__()
        self.words = nn.Embedding(len(WORDS) + 1, dim, padding_idx=0)
        self.attention = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, 1)

    def forward(self, tokens, is_padding):
        x = self.words(tokens)
        seen, _ = self.attention(x, x, x, key_padding_mask=is_padding, need_weights=False)
        x = self.norm(x + seen)
        return self.out(x.mean(dim=1)).squeeze(-1)


random.seed(4)
torch.manual_seed(4)
net = RequestFinder()
optimizer = optim.NAdam(net.parameters(), lr=5e-3)
criterion = nn.BCEWithLogitsLoss()
for number, (tokens, is_padding, wanted) in enumerate(batched(utterances(200), 20)):
    loss = criterion(net(tokens, is_padding), wanted)
    net.zero_grad()
    loss.backward()
    optimizer.step()
    if number % 5 == 4:
        print(f"batch {number + 1}: {loss.item():.3f}")
