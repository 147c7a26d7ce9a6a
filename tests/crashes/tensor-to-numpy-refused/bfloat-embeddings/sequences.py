import random

import torch
from torch.utils.data import Dataset

BASES = "ACGT"
MOTIFS = ("TATAAAG", "GGCCAAT", "CACGTGA", "TTGACAT")


class MotifSequences(Dataset):
    """Random DNA with one family's motif planted somewhere, sometimes with a typo."""

    n_families = len(MOTIFS)

    def __init__(self, n, length=50, seed=0):
        rng = random.Random(seed)
        self.items = []
        for _ in range(n):
            family = rng.randrange(self.n_families)
            dna = rng.choices(BASES, k=length)
            at = rng.randrange(length - len(MOTIFS[family]))
            dna[at : at + len(MOTIFS[family])] = MOTIFS[family]
            if rng.random() < 0.3:
                dna[at + rng.randrange(7)] = rng.choice(BASES)
            self.items.append(("".join(dna), family))

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


def one_hot_collate(items):
    codes = torch.tensor([[BASES.index(b) for b in dna] for dna, _ in items])
    dna = torch.nn.functional.one_hot(codes, len(BASES)).float().transpose(1, 2)
    return dna, torch.tensor([family for _, family in items])
