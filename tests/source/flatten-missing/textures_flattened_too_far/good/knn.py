import numpy as np
import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Textures(Dataset):
    def __init__(self, count, seed):
        generator = np.random.default_rng(seed)
        self.kinds = generator.integers(0, 3, size=count)
        grid = np.arange(16)
        wave = np.sin(grid[None, :] * (self.kinds[:, None] + 1) / 2)
        noise = generator.normal(0, 0.3, size=(count, 16, 16))
        self.images = (wave[:, None, :] + noise).astype("float32")

    def __len__(self):
        return self.images.shape[0]

    def __getitem__(self, idx):
        return torch.tensor(self.images[idx])[None, :, :], int(self.kinds[idx])


class FeatureNet(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 24, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
        )
        self.classifier = nn.Linear(24, classes)

    def features(self, x):
        return torch.flatten(self.backbone(x), start_dim=1)

    def forward(self, x):
        return self.classifier(self.features(x))


def train(net, loader, epochs):
    optimizer = torch.optim.Adam(net.parameters(), lr=4e-3)
    criterion = nn.CrossEntropyLoss()
    net.train()
    for epoch in range(epochs):
        for images, kinds in loader:
            optimizer.zero_grad()
            loss = criterion(net(images), kinds)
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch}: {loss.item():.3f}")


def extract(net, loader):
    net.eval()
    features, kinds = [], []
    for images, batch_kinds in loader:
        features.append(net.features(images).detach().cpu().numpy())
        kinds.append(batch_kinds.numpy())
    return np.concatenate(features), np.concatenate(kinds)


def main():
    torch.manual_seed(0)
    train_set, test_set = Textures(90, seed=1), Textures(30, seed=2)
    net = FeatureNet()
    train(net, DataLoader(train_set, batch_size=18, shuffle=True), epochs=2)
    with torch.no_grad():
        train_features, train_kinds = extract(net, DataLoader(train_set, batch_size=30))
        test_features, test_kinds = extract(net, DataLoader(test_set, batch_size=30))
    knn = KNeighborsClassifier(n_neighbors=5).fit(train_features, train_kinds)
    print(f"accuracy of the neighbours: {knn.score(test_features, test_kinds):.2f}")


if __name__ == "__main__":
    main()
