"""Two views of a sample agree; the target's weights are an average of the online ones, and held by the same module."""

import copy

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Bootstrap(nn.Module):
    def __init__(self, decay=0.99):
        super().__init__()
        self.online = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 8))
        self.slow = copy.deepcopy(self.online)
        self.predict = nn.Linear(8, 8)
        self.decay = decay

    @torch.no_grad()
    def update(self):
        for fast, slow in zip(self.online.parameters(), self.slow.parameters()):
            slow.lerp_(fast, 1 - self.decay)

    def forward(self, one, other):
        predicted = self.predict(self.online(one))
        with torch.no_grad():
            wanted = self.slow(other)
        return -F.cosine_similarity(predicted, wanted).mean()


torch.manual_seed(0)
model = Bootstrap()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
loader = DataLoader(TensorDataset(torch.randn(64, 12)), batch_size=16, shuffle=True)
for epoch in range(2):
    for (batch,) in loader:
        loss = model(batch + 0.1 * torch.randn_like(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.update()
    print(epoch, loss.item())
