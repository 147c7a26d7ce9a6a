"""A small transformer that copies the first token; positions are made in forward."""

import argparse

import torch
from torch import nn


class Copier(nn.Module):
    def __init__(self, tokens, length, width=16):
        super().__init__()
        self.tokens = nn.Embedding(tokens, width)
        self.positions = nn.Embedding(length, width)
        layer = nn.TransformerEncoderLayer(width, 2, 32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1)
        self.head = nn.Linear(width, tokens)

    def forward(self, ids):
        steps = torch.arange(ids.size(1))
        hidden = self.tokens(ids) + self.positions(steps)
        return self.head(self.encoder(hidden).mean(dim=1))


def train(args, device):
    model = Copier(args.tokens, args.length).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model.train()
    for step in range(args.steps):
        ids = torch.randint(0, args.tokens, (16, args.length)).to(device)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(ids), ids[:, 0])
        loss.backward()
        optimizer.step()
        print(step, loss.item())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokens", type=int, default=12)
    parser.add_argument("--length", type=int, default=6)
    parser.add_argument("--steps", type=int, default=5)
    torch.manual_seed(1)
    train(parser.parse_args(), "cuda" if torch.cuda.is_available() else "cpu")
