import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


class MLP(nn.Module):
    def __init__(self, in_features, hidden, classes):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(in_features, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, classes),
        )

    def forward(self, x):
        return self.net(x)


class Trainer:
    """Holds everything that one training run needs."""

    def __init__(self, model, train_loader, val_loader, lr=1e-2):
        self.model = model
        self.train_loader = train_loader
        self.val_loader = val_loader
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
        self.history = []

    def train_epoch(self):
        self.model.train()
        running = 0.0
        for x, y in self.train_loader:
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.criterion(self.model(x), y)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            running += loss * x.size(0)
        return running / len(self.train_loader.dataset)

    @torch.no_grad()
    def validate(self):
        self.model.eval()
        correct = total = 0
        for x, y in self.val_loader:
            logits = self.model(x)
            correct += (logits.argmax(1) == y).sum().item()
            total += y.numel()
        return correct / total

    def fit(self, epochs):
        for epoch in range(epochs):
            loss = self.train_epoch()
            accuracy = self.validate()
            self.history.append((loss, accuracy))
            print(f"{epoch}: loss {loss:.3f}, accuracy {accuracy:.3f}")


def make_data():
    torch.manual_seed(0)
    x = torch.randn(240, 12)
    y = (x[:, 0] > x[:, 1]).long() + (x[:, 2] > 0).long()
    return random_split(TensorDataset(x, y), [180, 60])


if __name__ == "__main__":
    train_set, val_set = make_data()
    trainer = Trainer(
        MLP(12, 32, 3),
        DataLoader(train_set, batch_size=30, shuffle=True),
        DataLoader(val_set, batch_size=30),
    )
    trainer.fit(3)
