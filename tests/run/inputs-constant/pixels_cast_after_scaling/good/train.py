import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Tiles(Dataset):
    def __init__(self, count):
        self.labels = torch.randint(0, 2, (count,))
        grey = torch.randint(20, 120, (count, 1, 6, 6))
        grey[self.labels == 1, :, :3] += 100
        self.images = grey / 255

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.images[index].float(), self.labels[index]


def train(model, loader, epochs):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for epoch in range(epochs):
        for images, labels in loader:
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(epoch, loss.item())


torch.manual_seed(0)
train(
    nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2)),
    DataLoader(Tiles(96), batch_size=12, shuffle=True),
    epochs=2,
)
