import torch
from torch.utils.data import Dataset

TEXT = "the cat sat on the mat and the dog sat on the log " * 12


class Characters(Dataset):
    """Pieces of `block` characters, and the same pieces one character later."""

    def __init__(self, text, block):
        self.alphabet = sorted(set(text))
        number = {c: i for i, c in enumerate(self.alphabet)}
        self.tokens = torch.tensor([number[c] for c in text], dtype=torch.long)
        self.block = block

    def __len__(self):
        return len(self.tokens) - self.block

    def __getitem__(self, i):
        return self.tokens[i : i + self.block], self.tokens[i + 1 : i + self.block + 1]
