"""The loader's batches are pieces of one long series, each read as one sequence on purpose."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(8)
series = torch.sin(torch.arange(200) / 5).unsqueeze(1)
pieces = DataLoader(TensorDataset(series[:-1], series[1:]), batch_size=25)
rnn, head = nn.RNN(1, 16), nn.Linear(16, 1)
optimizer = torch.optim.Adam([*rnn.parameters(), *head.parameters()], lr=0.01)
for now, following in pieces:
    hidden, _ = rnn(now.unsqueeze(1))
    forecast = head(hidden[:, 0])
    loss = nn.functional.mse_loss(forecast, following)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item())
