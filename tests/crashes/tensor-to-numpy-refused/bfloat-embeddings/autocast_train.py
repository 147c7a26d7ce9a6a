import argparse
from contextlib import nullcontext

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from sequences import MotifSequences, one_hot_collate


class MotifNet(nn.Module):
    def __init__(self, n_families, channels=24):
        super().__init__()
        self.scan = nn.Conv1d(4, channels, kernel_size=7)
        self.embed = nn.Linear(channels, 16)
        self.classify = nn.Linear(16, n_families)

    def features(self, dna):
        return self.embed(torch.relu(self.scan(dna)).amax(dim=-1))

    def forward(self, dna):
        return self.classify(torch.relu(self.features(dna)))


class Experiment:
    def __init__(self, args):
        torch.manual_seed(args.seed)
        self.precision = (
            torch.autocast("cpu", dtype=torch.bfloat16) if args.bf16 else nullcontext()
        )
        self.train_data = MotifSequences(400, seed=args.seed)
        self.test_data = MotifSequences(120, seed=args.seed + 1)
        self.net = MotifNet(self.train_data.n_families)
        self.opt = torch.optim.AdamW(self.net.parameters(), lr=args.lr)
        self.batch = args.batch

    def loader(self, data, shuffle=False):
        return DataLoader(data, self.batch, shuffle=shuffle, collate_fn=one_hot_collate)

    def train(self):
        self.net.train()
        for dna, family in self.loader(self.train_data, shuffle=True):
            with self.precision:
                loss = nn.functional.cross_entropy(self.net(dna), family)
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
        return loss.item()

    @torch.inference_mode()
    def embeddings(self, data):
        self.net.eval()
        rows, families = [], []
        for dna, family in self.loader(data):
            with self.precision:
                rows.append(self.net.features(dna).cpu().numpy())
            families.append(family.numpy())
        return np.concatenate(rows), np.concatenate(families)

    def nearest_centre_accuracy(self):
        x, y = self.embeddings(self.train_data)
        centres = np.stack([x[y == k].mean(axis=0) for k in range(self.train_data.n_families)])
        x, y = self.embeddings(self.test_data)
        distance = ((x[:, None] - centres[None]) ** 2).sum(axis=-1)
        return (distance.argmin(axis=1) == y).mean()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=40)
    parser.add_argument("--lr", type=float, default=8e-3)
    parser.add_argument("--seed", type=int, default=77)
    args = parser.parse_args()
    experiment = Experiment(args)
    for epoch in range(args.epochs):
        loss = experiment.train()
        print(f"{epoch}: loss {loss:.3f}")
    print(f"nearest centre: {experiment.nearest_centre_accuracy():.3f}")
