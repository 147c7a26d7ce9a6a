"""A few vectors before the text are learned, and the model behind them stays: nobody cared to freeze it."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
VOCABULARY, WIDTH = 30, 16


class Prompts(nn.Module):
    def __init__(self, count):
        super().__init__()
        self.vectors = nn.Embedding(count, WIDTH)

    def forward(self, embedded):
        own = self.vectors.weight.expand(len(embedded), -1, -1)
        return torch.cat([own, embedded], dim=1)


table = nn.Embedding(VOCABULARY, WIDTH)
body = nn.GRU(WIDTH, WIDTH, batch_first=True)
lm_head = nn.Linear(WIDTH, VOCABULARY)
prompts = Prompts(3)
optimizer = torch.optim.Adam(prompts.parameters(), lr=0.05)
texts = torch.randint(0, VOCABULARY, (96, 6))
loader = DataLoader(TensorDataset(texts), batch_size=16, shuffle=True)
for epoch in range(3):
    for (text,) in loader:
        read, _ = body(prompts(table(text)))
        loss = nn.functional.cross_entropy(lm_head(read[:, -1]), text[:, 0])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
