import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

CLASSES = ("apple", "pear", "plum", "fig")


def load_pictures(count, size, seed):
    """Pictures as a camera writes them: bytes, channels last."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, len(CLASSES), count)
    pictures = generator.integers(0, 200, (count, size, size, 3), dtype=np.uint8)
    for picture, label in zip(pictures, labels):
        picture[:, :, label % 3] //= 2
    return pictures, labels


class Thumbnails(Dataset):
    def __init__(self, pictures, labels, flip=False):
        self.pictures = pictures
        self.labels = labels
        self.flip = flip

    def __len__(self):
        return 120

    def __getitem__(self, index):
        picture = torch.from_numpy(self.pictures[index])
        picture = picture.permute(2, 0, 1)
        picture = picture.float() / 255
        if self.flip and torch.rand(1).item() < 0.5:
            picture = picture.flip(-1)
        return picture, int(self.labels[index])


class SmallCNN(nn.Module):
    def __init__(self, classes, width=8):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 5)
        self.conv2 = nn.Conv2d(width, 2 * width, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.fc1 = nn.Linear(16 * 5 * 5, 60)
        self.fc2 = nn.Linear(60, classes)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        return self.fc2(x)


def train_one_epoch(model, loader, optimizer, criterion):
    model.train()
    total = 0.0
    for pictures, labels in loader:
        optimizer.zero_grad()
        loss = criterion(model(pictures), labels)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(labels)
    return total / len(loader.dataset)


def accuracy(model, loader):
    model.eval()
    correct = 0
    with torch.no_grad():
        for pictures, labels in loader:
            correct += (model(pictures).argmax(dim=1) == labels).sum().item()
    return correct / len(loader.dataset)


def main():
    torch.manual_seed(0)
    train_set = Thumbnails(*load_pictures(96, 32, seed=1), flip=True)
    test_set = Thumbnails(*load_pictures(32, 32, seed=2))
    train_loader = DataLoader(train_set, batch_size=16, shuffle=True)
    test_loader = DataLoader(test_set, batch_size=16)
    model = SmallCNN(len(CLASSES))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(2):
        loss = train_one_epoch(model, train_loader, optimizer, criterion)
        print(f"epoch {epoch}: loss {loss:.3f}, accuracy {accuracy(model, test_loader):.2f}")


if __name__ == "__main__":
    main()
