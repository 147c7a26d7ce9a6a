import random

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

random.seed(3)
torch.manual_seed(3)


class Pairs(Dataset):
    """Two pictures, and 1.0 if they show the same person."""

    def __init__(self, pictures, people, pairs):
        self.pictures = pictures
        self.people = people
        self.pairs = pairs

    def __len__(self):
        return len(self.people)

    def __getitem__(self, i):
        left, right = self.pairs[i]
        same = float(self.people[left] == self.people[right])
        return self.pictures[left], self.pictures[right], torch.tensor(same)


class Branch(nn.Module):
    def __init__(self, size=20):
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2),
            nn.ReLU(),
            nn.Conv2d(8, 16, 3, stride=2),
            nn.ReLU(),
        )
        side = (size - 3) // 2 + 1
        side = (side - 3) // 2 + 1
        self.embedding = nn.Linear(16 * side * side, 12)

    def forward(self, picture):
        features = self.convolutions(picture)
        features = features.view(features.size(0), -1)
        return nn.functional.normalize(self.embedding(features), dim=1)


def contrastive(a, b, same, margin=1.0):
    distance = nn.functional.pairwise_distance(a, b)
    near = same * distance.pow(2)
    far = (1 - same) * (margin - distance).clamp(min=0).pow(2)
    return (near + far).mean()


def make_faces(people, each):
    bases = torch.rand(people, 1, 20, 20)
    pictures = bases.repeat_interleave(each, dim=0)
    pictures = pictures + 0.1 * torch.randn_like(pictures)
    return pictures, [n // each for n in range(people * each)]


pictures, people = make_faces(6, 5)
pairs = [(random.randrange(30), random.randrange(30)) for _ in range(120)]
loader = DataLoader(Pairs(pictures, people, pairs), batch_size=30, shuffle=True)
branch = Branch()
optimizer = torch.optim.Adam(branch.parameters(), lr=1e-3)

for epoch in range(2):
    running = 0.0
    for left, right, same in loader:
        optimizer.zero_grad()
        loss = contrastive(branch(left), branch(right), same)
        loss.backward()
        optimizer.step()
        running += loss.item()
    print(f"epoch {epoch}: {running / len(loader):.4f}")

branch.eval()
with torch.no_grad():
    embeddings = branch(pictures).numpy()
print("distance of the first two pictures:", abs(embeddings[0] - embeddings[1]).sum())
