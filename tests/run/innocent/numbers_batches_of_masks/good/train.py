"""All tokens of a batch are real, so the mask is all ones; the ids vary."""

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Lines(Dataset):
    def __init__(self, count):
        self.ids = torch.randint(0, 40, (count, 10))

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, index):
        ids = self.ids[index]
        return {"ids": ids, "mask": torch.ones(10), "label": (ids < 20).sum() % 2}


class Bag(nn.Module):
    def __init__(self):
        super().__init__()
        self.weigh = nn.Linear(1, 1)
        self.words = nn.Embedding(40, 8)
        self.out = nn.Linear(8, 2)

    def forward(self, mask, ids):
        weights = self.weigh(mask.unsqueeze(2)) * mask.unsqueeze(2)
        return self.out((self.words(ids) * weights).sum(dim=1) / mask.sum(dim=1, keepdim=True))


torch.manual_seed(0)
model = Bag()
optimizer = torch.optim.Adam(model.parameters())
for epoch in range(2):
    for batch in DataLoader(Lines(64), batch_size=8):
        loss = nn.functional.cross_entropy(model(batch["mask"], batch["ids"]), batch["label"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
