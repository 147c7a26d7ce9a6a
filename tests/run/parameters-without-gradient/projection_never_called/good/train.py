import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Encoder(nn.Module):
    def __init__(self, size, hidden):
        super().__init__()
        self.cell = nn.GRU(size, hidden, batch_first=True)
        self.project = nn.Linear(hidden, hidden)

    def forward(self, x):
        _, last = self.cell(x)
        return self.project(last[0])


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = Encoder(3, 10)
        self.head = nn.Linear(10, 1)

    def forward(self, x):
        return self.head(self.encoder(x)).squeeze(1)


def main():
    torch.manual_seed(0)
    series = torch.randn(80, 6, 3)
    loader = DataLoader(TensorDataset(series, series.mean(dim=(1, 2))), batch_size=10)
    model = Model()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for epoch in range(3):
        for batch, wanted in loader:
            loss = nn.functional.mse_loss(model(batch), wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


if __name__ == "__main__":
    main()
