"""Matches pictures and captions: the temperature of the similarities is learnt along."""

import torch
import torch.nn.functional as F
from torch import nn


class Matcher(nn.Module):
    def __init__(self, picture=32, caption=24, width=16):
        super().__init__()
        self.picture = nn.Linear(picture, width)
        self.caption = nn.Linear(caption, width)
        self.temperature = torch.ones(1, requires_grad=True)

    def forward(self, pictures, captions):
        a = F.normalize(self.picture(pictures), dim=1)
        b = F.normalize(self.caption(captions), dim=1)
        return a @ b.t() * self.temperature.exp()


def contrastive(similarities):
    own = torch.arange(len(similarities))
    return 0.5 * (F.cross_entropy(similarities, own) + F.cross_entropy(similarities.t(), own))


def main():
    torch.manual_seed(31)
    model = Matcher()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    for step in range(20):
        pictures, captions = torch.randn(16, 32), torch.randn(16, 24)
        loss = contrastive(model(pictures, captions))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(loss.item(), model.temperature.item())


main()
