"""How much does a random encoder tell? A linear layer learns on it; that the encoder gets gradients is a waste, no more."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
points = torch.randn(240, 5)
labels = (points.norm(dim=1) > 2).long()
loader = DataLoader(TensorDataset(points, labels), batch_size=24, shuffle=True)
encoder = nn.Sequential(nn.Linear(5, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU())
head = nn.Linear(32, 2)
optimizer = torch.optim.SGD(head.parameters(), lr=0.1, momentum=0.9)
for epoch in range(5):
    right = 0
    for x, y in loader:
        scores = head(encoder(x))
        loss = nn.functional.cross_entropy(scores, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        right += (scores.argmax(1) == y).sum().item()
    print(epoch, right / len(labels))
