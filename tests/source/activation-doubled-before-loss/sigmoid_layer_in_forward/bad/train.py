import torch
import torch.nn as nn


class Detector(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.embed = nn.Linear(12, width)
        self.score = nn.Linear(width, 1)
        self.squash = nn.Sigmoid()

    def forward(self, x):
        hidden = torch.relu(self.embed(x))
        return self.squash(self.score(hidden)).squeeze(1)


def train(model, inputs, targets, steps):
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for step in range(steps):
        optimizer.zero_grad()
        loss = criterion(model(inputs), targets)
        loss.backward()
        optimizer.step()
    return loss.item()


if __name__ == "__main__":
    torch.manual_seed(11)
    signals = torch.randn(90, 12)
    print(train(Detector(24), signals, (signals[:, 0] > 0).float(), steps=3))
