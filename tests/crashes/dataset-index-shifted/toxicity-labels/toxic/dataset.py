import torch
from torch.utils.data import Dataset

from toxic.comments import tokenize


class ChatDataset(Dataset):
    def __init__(self, messages, marks):
        self.tokens = [tokenize(m) for m in messages]
        self.marks = marks

    def __len__(self):
        return len(self.tokens)

    def __getitem__(self, i):
        tokens = self.tokens[i]
        mark = self.marks[i + 1]
        return tokens, mark


def bag_collate(batch):
    """EmbeddingBag 형식: 이어 붙인 토큰과 시작 위치(offsets)."""
    flat, offsets, marks = [], [], []
    for tokens, mark in batch:
        offsets.append(len(flat))
        flat.extend(tokens)
        marks.append(mark)
    return torch.tensor(flat), torch.tensor(offsets), torch.tensor(marks).float()
