"""Does a bracket word close what it opens? A transformer reads the first position."""

import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Reader(nn.Module):
    def __init__(self, tokens=3, width=16):
        super().__init__()
        self.tokens = nn.Embedding(tokens, width)
        layer = nn.TransformerEncoderLayer(
            d_model=width, nhead=2, dim_feedforward=32, batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, num_layers=2)
        self.head = nn.Linear(width, 2)

    def forward(self, words):
        encoded = self.encoder(self.tokens(words))
        return self.head(encoded[:, 0])


def words(count, length):
    signs = torch.randint(0, 2, (count, length))
    balanced = (signs.sum(dim=1) * 2 == length).long()
    return TensorDataset(signs + 1, balanced)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--length", type=int, default=6)
    parser.add_argument("--batch-size", type=int, default=20)
    args = parser.parse_args()
    torch.manual_seed(3)
    loader = DataLoader(words(100, args.length), batch_size=args.batch_size, shuffle=True)
    reader = Reader()
    optimizer = torch.optim.AdamW(reader.parameters(), lr=1e-3)
    reader.train()
    for batch, labels in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(reader(batch), labels)
        loss.backward()
        optimizer.step()
        print(loss.item())


main()
