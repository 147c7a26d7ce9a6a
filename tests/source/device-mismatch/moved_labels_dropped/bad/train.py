# Pictures of circles and rings, on the GPU if there is one
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

device = "cuda" if torch.cuda.is_available() else "cpu"
torch.manual_seed(2)


class Shapes(Dataset):
    def __init__(self, count):
        grid = torch.linspace(-1, 1, 12)
        self.radius = (grid[:, None] ** 2 + grid[None, :] ** 2).sqrt()
        self.labels = torch.randint(0, 2, (count,))

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        inner = 0.5 if self.labels[index] else 0.0
        picture = ((self.radius < 0.8) & (self.radius >= inner)).float()
        return picture.unsqueeze(0), self.labels[index]


loader = DataLoader(Shapes(64), batch_size=16, shuffle=True)
net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 10 * 10, 2))
net = net.to(device)
optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
for epoch in range(2):
    for pictures, labels in loader:
        pictures = pictures.to(device)
        labels.to(device)
        scores = net(pictures)
        loss = nn.functional.cross_entropy(scores, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
