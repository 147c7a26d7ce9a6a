import torch
from torch import nn


class Mixture(nn.Module):
    def __init__(self, width=12, count=3, classes=4):
        super().__init__()
        self.gate = nn.Linear(width, count)
        self.experts = tuple(nn.Linear(width, width) for _ in range(count))
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        weights = self.gate(x).softmax(dim=1)
        parts = torch.stack([expert(x) for expert in self.experts], dim=1)
        return self.head(torch.relu((weights.unsqueeze(2) * parts).sum(dim=1)))


def main():
    torch.manual_seed(0)
    x = torch.randn(90, 12)
    labels = x[:, :4].argmax(dim=1)
    model = Mixture()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for epoch in range(4):
        for start in range(0, 90, 15):
            rows = slice(start, start + 15)
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x[rows]), labels[rows])
            loss.backward()
            optimizer.step()
        print(epoch, loss.item())


main()
