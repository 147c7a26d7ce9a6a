# Handwritten digits, 8x8, MLP
import torch
import torch.nn as nn
import torch.optim as optim
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(42)

BATCH_SIZE = 50
EPOCHS = 3
LR = 0.05

digits = load_digits()
X = digits.images / 16.0
y = digits.target
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=42)


class DigitsDataset(Dataset):
    def __init__(self, images, labels):
        self.images = images
        self.labels = labels

    def __len__(self):
        return 1500

    def __getitem__(self, idx):
        image = self.images[idx]
        image = torch.tensor(image, dtype=torch.float32).flatten()
        label = int(self.labels[idx])
        return image, label


train_set = DigitsDataset(X_train, y_train)
train_loader = DataLoader(train_set, batch_size=BATCH_SIZE, shuffle=True)

net = nn.Sequential(
    nn.Linear(64, 48),
    nn.ReLU(),
    nn.Linear(48, 32),
    nn.ReLU(),
    nn.Linear(32, 10),
)
criterion = nn.CrossEntropyLoss()
optimizer = optim.SGD(net.parameters(), lr=LR, momentum=0.9)

for epoch in range(EPOCHS):
    net.train()
    running = 0.0
    for images, labels in train_loader:
        optimizer.zero_grad()
        out = net(images)
        loss = criterion(out, labels)
        loss.backward()
        optimizer.step()
        running += loss.item()
    print("epoch", epoch + 1, "loss", round(running / len(train_loader), 4))

net.eval()
with torch.no_grad():
    test_x = torch.tensor(X_test, dtype=torch.float32).flatten(1)
    pred = net(test_x).argmax(dim=1)
    acc = (pred == torch.tensor(y_test)).float().mean().item()
print("test accuracy: %.3f" % acc)
