"""A counter of ones, in a trainer class."""

import torch
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset


class Counter(nn.Module):
    def __init__(self, hidden=8):
        super().__init__()
        self.rnn = nn.RNN(1, hidden, nonlinearity="relu", batch_first=True)
        self.out = nn.Linear(hidden, 1)

    def forward(self, bits):
        steps = bits.unsqueeze(-1)
        hidden, _ = self.rnn(steps)
        last = hidden[:, -1]
        return self.out(last)


class Trainer:
    def __init__(self, model, batch_size=32, length=9):
        bits = torch.randint(0, 2, (128, length)).float()
        data = TensorDataset(bits, bits.sum(dim=1, keepdim=True))
        self.loader = DataLoader(data, batch_size=batch_size, shuffle=True, drop_last=True)
        self.model = model
        self.optimizer = optim.Adam(model.parameters(), lr=0.01)

    def epoch(self):
        losses = []
        for bits, counts in self.loader:
            loss = nn.functional.smooth_l1_loss(self.model(bits), counts)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        return sum(losses) / len(losses)


torch.manual_seed(4)
trainer = Trainer(Counter())
for number in range(2):
    print(number, trainer.epoch())
