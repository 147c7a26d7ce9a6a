import torch
from torch import nn


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(12, 24), nn.Tanh(), nn.Linear(24, 6))

    def forward(self, left, right):
        a, b = self.encoder(left), self.encoder(right)
        return ((a - b) ** 2).sum(dim=1).sqrt()


def contrastive(distance, is_same, margin=1.0):
    near = is_same * distance**2
    far = (1 - is_same) * torch.relu(margin - distance) ** 2
    return (near + far).mean()


torch.manual_seed(11)
people = torch.randn(20, 12)
model = Siamese()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(12):
    left, right = torch.randint(0, 20, (40,)), torch.randint(0, 20, (40,))
    right[:3] = left[:3]
    is_same = (left == right).float()
    loss = contrastive(model(people[left], people[right]), is_same)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
