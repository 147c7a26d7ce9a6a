"""A trainer for a recurrent network that tells rising from falling sequences."""

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Trends(Dataset):
    def __init__(self, count, length=12):
        slopes = torch.rand(count, 1, 1) - 0.5
        steps = torch.arange(length).view(1, length, 1)
        self.values = slopes * steps + 0.1 * torch.randn(count, length, 1)
        self.labels = (slopes.view(count) > 0).long()

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        return self.values[index], self.labels[index]


class TrendNet(nn.Module):
    def __init__(self, hidden=12):
        super().__init__()
        self.rnn = nn.GRU(1, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 2)

    def forward(self, sequences):
        outputs, _ = self.rnn(sequences)
        return self.head(outputs[:, -1])


class Trainer:
    def __init__(self, model, loader, lr=1e-2):
        self.model = model
        self.loader = loader
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
        self.scaler = torch.amp.GradScaler("cuda")

    def train_step(self, batch, labels):
        self.optimizer.zero_grad()
        with torch.autocast("cuda", dtype=torch.float16):
            loss = self.criterion(self.model(batch), labels)
        self.scaler.scale(loss).backward()
        self.optimizer.step()
        self.scaler.update()
        return loss.item()

    def fit(self, epochs):
        self.model.train()
        for epoch in range(epochs):
            losses = [self.train_step(batch, labels) for batch, labels in self.loader]
            print(f"{epoch}: {sum(losses) / len(losses):.3f}")


def main():
    torch.manual_seed(23)
    loader = DataLoader(Trends(64), batch_size=16, shuffle=True)
    Trainer(TrendNet(), loader).fit(epochs=2)


main()
