"""Learned queries pool a set of vectors; the whole runs on a GPU if there is one."""

import torch
from torch import nn

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class QueryPool(nn.Module):
    def __init__(self, width, slots):
        super().__init__()
        self.queries = nn.Parameter(torch.randn(slots, width).to(device))
        self.keys = nn.Linear(width, width)
        self.mix = nn.Linear(slots * width, width)

    def forward(self, items):
        scores = self.keys(items) @ self.queries.t()
        weights = torch.softmax(scores, dim=1)
        pooled = weights.transpose(1, 2) @ items
        return self.mix(pooled.flatten(1))


class SetClassifier(nn.Module):
    def __init__(self, width=16, slots=4, classes=3):
        super().__init__()
        self.pool = QueryPool(width, slots)
        self.out = nn.Linear(width, classes)

    def forward(self, items):
        return self.out(torch.relu(self.pool(items)))


torch.manual_seed(14)
model = SetClassifier().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
criterion = nn.CrossEntropyLoss()
for step in range(20):
    items = torch.randn(8, 10, 16, device=device)
    classes = torch.randint(0, 3, (8,), device=device)
    loss = criterion(model(items), classes)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(loss.item())
