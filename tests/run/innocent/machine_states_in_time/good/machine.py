"""The state of a machine from its vibration. The log runs through the states, and the hidden state runs along."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

STATES = 3


class Tracker(nn.Module):
    def __init__(self, hidden=12):
        super().__init__()
        self.cell = nn.GRUCell(2, hidden)
        self.head = nn.Linear(hidden, STATES)

    def forward(self, window, hidden):
        outputs = []
        for sample in window:
            hidden = self.cell(sample[None], hidden)
            outputs.append(self.head(hidden))
        return torch.cat(outputs), hidden.detach()


def log(per_state=64):
    labels = torch.arange(STATES).repeat_interleave(per_state)
    time = torch.arange(len(labels)) * 0.3
    vibration = torch.stack([torch.sin(time * (1 + labels)), torch.cos(time) * labels], dim=1)
    return TensorDataset(vibration, labels)


def main():
    torch.manual_seed(2)
    loader = DataLoader(log(), batch_size=16)
    model = Tracker()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(3):
        hidden = torch.zeros(1, 12)
        for window, states in loader:
            scores, hidden = model(window, hidden)
            loss = criterion(scores, states)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(epoch, loss.item())


if __name__ == "__main__":
    main()
