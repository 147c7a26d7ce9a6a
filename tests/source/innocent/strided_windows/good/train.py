import math

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class StridedWindows(Dataset):
    def __init__(self, series, past, stride):
        self.series = torch.tensor(series)
        self.past = past
        self.stride = stride

    def __len__(self):
        return (len(self.series) - self.past - 1) // self.stride + 1

    def __getitem__(self, i):
        start = i * self.stride
        window = self.series[start : start + self.past]
        return window[:, None], self.series[start + self.past]


class Forecaster(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(1, 10, batch_first=True)
        self.out = nn.Linear(10, 1)

    def forward(self, x):
        _, last = self.gru(x)
        return self.out(last[0])[:, 0]


torch.manual_seed(0)
series = [math.sin(t / 5) for t in range(200)]
loader = DataLoader(StridedWindows(series, past=20, stride=3), batch_size=16, shuffle=True)
model = Forecaster()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for epoch in range(2):
    for window, target in loader:
        loss = nn.functional.mse_loss(model(window), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
