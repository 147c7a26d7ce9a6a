"""Which of three dialects a row of syllables belongs to: a recurrent network with its own first state."""

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Dialects(nn.Module):
    def __init__(self, syllables=20, width=16, classes=3):
        super().__init__()
        self.width = width
        self.embedding = nn.Embedding(syllables, width)
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.head = nn.Linear(width, classes)

    def forward(self, rows):
        hidden = torch.zeros(1, rows.size(0), self.width, device=rows.device)
        cell = torch.zeros(1, rows.size(0), self.width, device=rows.device)
        outputs, _ = self.lstm(self.embedding(rows), (hidden, cell))
        return self.head(outputs[:, -1])


def main():
    torch.manual_seed(0)
    rows = torch.randint(0, 20, (90, 7))
    dialects = rows[:, 0] % 3
    loader = DataLoader(TensorDataset(rows, dialects), batch_size=15, shuffle=True)
    model = Dialects().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(2):
        for batch, labels in loader:
            batch, labels = batch.to(device), labels.to(device)
            optimizer.zero_grad()
            loss = criterion(model(batch), labels)
            loss.backward()
            optimizer.step()
        print(epoch, loss.item())


main()
