import torch
from torch import nn


class MeanPool(nn.Module):
    def forward(self, embedded, lengths):
        mask = torch.arange(embedded.size(1))[None, :] < lengths[:, None]
        total = (embedded * mask.unsqueeze(-1)).sum(dim=1)
        return total / lengths.unsqueeze(-1)


class SentimentModel(nn.Module):
    def __init__(self, vocabulary_size, width=24):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, width, padding_idx=0)
        self.pool = MeanPool()
        self.classifier = nn.Linear(width, 2)

    def forward(self, ids, lengths):
        return self.classifier(self.pool(self.embedding(ids), lengths))
