"""A frozen feature extractor, and a head that is trained on its features."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(2)
        )

    def forward(self, x):
        return self.stem(x).flatten(1)


class Classifier(nn.Module):
    def __init__(self, features, classes):
        super().__init__()
        self.norm = nn.BatchNorm1d(features)
        self.fc = nn.Linear(features, classes)

    def forward(self, x):
        return self.fc(self.norm(x))


def extract(backbone, loader):
    features, labels = [], []
    backbone.eval()
    with torch.no_grad():
        for images, target in loader:
            features.append(backbone(images))
            labels.append(target)
    return TensorDataset(torch.cat(features), torch.cat(labels))


def images(count):
    x = torch.randn(count, 3, 12, 12)
    return TensorDataset(x, (x.mean(dim=(1, 2, 3)) > 0).long())


def score(head, loader):
    right = 0
    for features, target in loader:
        with torch.no_grad():
            right += (head(features).argmax(dim=1) == target).sum().item()
    return right / len(loader.dataset)


def main():
    torch.manual_seed(6)
    backbone = Backbone()
    for parameter in backbone.parameters():
        parameter.requires_grad = False
    train_features = extract(backbone, DataLoader(images(96), batch_size=16))
    val_features = extract(backbone, DataLoader(images(32), batch_size=16))
    train_loader = DataLoader(train_features, batch_size=16, shuffle=True)
    val_loader = DataLoader(val_features, batch_size=16)
    head = Classifier(32, 2)
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
    for epoch in range(3):
        head.train()
        for features, target in train_loader:
            loss = nn.functional.cross_entropy(head(features), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(epoch, score(head, val_loader))


main()
