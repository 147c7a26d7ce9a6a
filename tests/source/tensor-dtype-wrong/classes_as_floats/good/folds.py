import numpy as np
import torch
from sklearn.datasets import load_wine
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import StratifiedKFold
from torch import nn
from torch.utils.data import DataLoader, Subset, TensorDataset

SEED = 7
EPOCHS = 2


class Classifier(nn.Module):
    def __init__(self, features, classes, hidden=24):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(features, hidden), nn.Linear(hidden, hidden)])
        self.norm = nn.LayerNorm(hidden)
        self.drop = nn.Dropout(p=0.1)
        self.last = nn.Linear(hidden, classes)

    def forward(self, x):
        for layer in self.layers:
            x = self.drop(torch.relu(layer(x)))
        return self.last(self.norm(x))


def load():
    data = load_wine()
    features = (data.data - data.data.mean(axis=0)) / data.data.std(axis=0)
    inputs = torch.from_numpy(features).float()
    labels = torch.from_numpy(data.target)
    return TensorDataset(inputs, labels), data.target


def train(model, loader):
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(EPOCHS):
        for inputs, labels in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs), labels).backward()
            optimizer.step()


def predict(model, subset):
    model.eval()
    outputs, truth = [], []
    with torch.no_grad():
        for inputs, labels in DataLoader(subset, batch_size=16):
            outputs.append(model(inputs).argmax(dim=1).numpy())
            truth.append(labels.numpy())
    return np.concatenate(outputs), np.concatenate(truth)


torch.manual_seed(SEED)
dataset, target = load()
folds = StratifiedKFold(n_splits=3, shuffle=True, random_state=SEED)
for fold, (train_index, test_index) in enumerate(folds.split(np.zeros(len(target)), target)):
    model = Classifier(13, 3)
    train_loader = DataLoader(Subset(dataset, train_index), batch_size=16, shuffle=True)
    train(model, train_loader)
    predicted, truth = predict(model, Subset(dataset, test_index))
    print(f"fold {fold}")
    print(confusion_matrix(truth, predicted))
