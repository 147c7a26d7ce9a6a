import numpy as np
import torch
from sklearn.datasets import make_multilabel_classification
from torch import nn
from torch.utils.data import DataLoader, Dataset, random_split


class Articles(Dataset):
    def __init__(self, counts, tags):
        self.counts = np.log1p(counts).astype(np.float32)
        self.tags = tags

    def __len__(self):
        return len(self.tags)

    def __getitem__(self, item):
        counts = torch.from_numpy(self.counts[item])
        tags = torch.from_numpy(self.tags[item]).float()
        return {"counts": counts, "tags": tags}


class Tagger(nn.Module):
    def __init__(self, words, tags):
        super().__init__()
        self.hidden = nn.Linear(words, 48)
        self.bn = nn.BatchNorm1d(48)
        self.out = nn.Linear(48, tags)

    def forward(self, counts):
        return self.out(torch.relu(self.bn(self.hidden(counts))))


class TagTrainer:
    def __init__(self, model, learning_rate):
        self.model = model
        self.optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
        self.criterion = nn.BCEWithLogitsLoss()
        self.train_losses = []

    def train(self, loader):
        self.model.train()
        for batch in loader:
            self.optimizer.zero_grad()
            logits = self.model(batch["counts"])
            loss = self.criterion(logits, batch["tags"])
            loss.backward()
            self.optimizer.step()
            self.train_losses.append(loss.item())

    @torch.no_grad()
    def evaluate(self, loader):
        self.model.eval()
        hits, total = 0, 0
        for batch in loader:
            predicted = torch.sigmoid(self.model(batch["counts"])) > 0.5
            hits += (predicted == batch["tags"].bool()).sum().item()
            total += batch["tags"].numel()
        return hits / total

    def report(self):
        return f"mean loss {np.mean(self.train_losses):.3f}"


def main():
    torch.manual_seed(2)
    X, Y = make_multilabel_classification(n_samples=200, n_features=30, n_classes=6, random_state=2)
    train_set, test_set = random_split(Articles(X, Y), [160, 40])
    train_loader = DataLoader(train_set, batch_size=20, shuffle=True)
    test_loader = DataLoader(test_set, batch_size=40)
    trainer = TagTrainer(Tagger(30, 6), learning_rate=2e-3)
    for epoch in range(3):
        trainer.train(train_loader)
        print(epoch, trainer.report(), f"accuracy {trainer.evaluate(test_loader):.3f}")


if __name__ == "__main__":
    main()
