"""Which script a word is written in, from the numbers of its letters. Sorted, because a query with ORDER BY made it."""

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

STARTS = {"latin": 97, "greek": 945, "cyrillic": 1072}
LENGTH = 6


class Words(Dataset):
    def __init__(self, per_script):
        rows = []
        for label, start in enumerate(STARTS.values()):
            for number in range(per_script):
                rows.append(
                    ([start + (number * step) % 24 for step in range(1, LENGTH + 1)], label)
                )
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        letters, label = self.rows[index]
        return torch.tensor(letters), label


class Classifier(nn.Module):
    def __init__(self, hidden=12):
        super().__init__()
        self.letters = nn.Embedding(1200, hidden)
        self.head = nn.Linear(hidden, len(STARTS))

    def forward(self, words):
        return self.head(self.letters(words).mean(dim=1))


class Experiment:
    def __init__(self, data, batch_size):
        self.loader = DataLoader(
            data, batch_size=batch_size, num_workers=1, persistent_workers=True
        )
        self.model = Classifier()
        self.optimizer = torch.optim.Adagrad(self.model.parameters(), lr=0.1)
        self.criterion = nn.NLLLoss()

    def step(self, words, labels):
        loss = self.criterion(self.model(words).log_softmax(dim=1), labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def run(self, epochs):
        for epoch in range(epochs):
            losses = [self.step(words, labels) for words, labels in self.loader]
            print(epoch, sum(losses) / len(losses))


if __name__ == "__main__":
    torch.manual_seed(2)
    Experiment(Words(48), batch_size=12).run(3)
