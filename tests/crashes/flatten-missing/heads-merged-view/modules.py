import math

import torch
from torch import nn


class MultiHeadAttention(nn.Module):
    """질의/키/값을 여러 머리로 나누어 계산하는 self-attention."""

    def __init__(self, dim, heads, dropout=0.1):
        super().__init__()
        assert dim % heads == 0
        self.heads = heads
        self.head_dim = dim // heads
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def split(self, x):
        batch, steps, _ = x.shape
        return x.view(batch, steps, self.heads, self.head_dim).transpose(1, 2)

    def merge(self, x):
        batch, _, steps, _ = x.shape
        return x.transpose(1, 2).view(batch, steps, self.heads * self.head_dim)

    def forward(self, x, mask):
        q, k, v = self.split(self.query(x)), self.split(self.key(x)), self.split(self.value(x))
        score = q @ k.transpose(-2, -1) / math.sqrt(self.head_dim)
        score = score.masked_fill(mask[:, None, None, :], float("-inf"))
        weight = self.dropout(torch.softmax(score, dim=-1))
        return self.out(self.merge(weight @ v))


class EncoderLayer(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.attention = MultiHeadAttention(dim, heads)
        self.norm1 = nn.LayerNorm(dim)
        self.feed = nn.Sequential(nn.Linear(dim, 2 * dim), nn.ReLU(), nn.Linear(2 * dim, dim))
        self.norm2 = nn.LayerNorm(dim)

    def forward(self, x, mask):
        x = self.norm1(x + self.attention(x, mask))
        return self.norm2(x + self.feed(x))


class SentimentEncoder(nn.Module):
    def __init__(self, n_words, dim=32, heads=4, layers=2, max_len=64):
        super().__init__()
        self.word = nn.Embedding(n_words, dim, padding_idx=0)
        self.position = nn.Parameter(torch.zeros(max_len, dim))
        self.layers = nn.ModuleList([EncoderLayer(dim, heads) for _ in range(layers)])
        self.head = nn.Linear(dim, 2)

    def forward(self, ids):
        mask = ids == 0
        x = self.word(ids) + self.position[: ids.size(1)]
        for layer in self.layers:
            x = layer(x, mask)
        keep = (~mask).unsqueeze(-1)
        return self.head((x * keep).sum(1) / keep.sum(1))
