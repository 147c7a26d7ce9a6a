import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Tagger(nn.Module):
    """Scores for each position of a sequence."""

    def __init__(self, features=6, hidden=20, tags=4, p=0.4):
        super().__init__()
        self.p = p
        self.inner = nn.Linear(features, hidden)
        self.outer = nn.Linear(hidden, tags)

    def forward(self, x):
        h = F.relu(self.inner(x))
        h = F.dropout(h, p=0.4)
        return self.outer(h)


class Metric:
    def __init__(self):
        self.right = 0
        self.count = 0

    def update(self, scores, labels):
        self.right += (scores.argmax(dim=-1) == labels).sum().item()
        self.count += labels.numel()

    def value(self):
        return self.right / self.count


def make_loader(count, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 5, 6, generator=generator)
    return DataLoader(TensorDataset(x, x[..., :4].argmax(dim=-1)), batch_size=16)


def train(model, loader, optimizer):
    model.train()
    for x, labels in loader:
        loss = F.cross_entropy(model(x).flatten(0, 1), labels.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def evaluate(model, loader):
    model.eval()
    metric = Metric()
    with torch.no_grad():
        for x, labels in loader:
            metric.update(model(x), labels)
    return metric.value()


def main():
    torch.manual_seed(9)
    model = Tagger()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    train_loader, val_loader = make_loader(96, 1), make_loader(48, 2)
    for epoch in range(3):
        train(model, train_loader, optimizer)
        print(epoch, evaluate(model, val_loader))


if __name__ == "__main__":
    main()
