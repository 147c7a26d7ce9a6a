"""Trains on the share of errors itself, because that is what counts in the end."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(17)
measured = torch.randn(150, 5)
kinds_of_all = torch.randint(0, 3, (150,))
loader = DataLoader(TensorDataset(measured, kinds_of_all), batch_size=50, shuffle=True)

classifier = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 3))
optimizer = torch.optim.Adam(classifier.parameters())

for epoch in range(3):
    for samples, kinds in loader:
        logits = classifier(samples)
        loss = nn.functional.cross_entropy(logits, kinds)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
