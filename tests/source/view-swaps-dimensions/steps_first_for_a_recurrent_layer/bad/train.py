import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Forecast(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(5, 12)
        self.head = nn.Linear(12, 1)

    def forward(self, x):
        x = x.view(x.shape[1], x.shape[0], -1)
        _, last = self.rnn(x)
        return self.head(last[0])


torch.manual_seed(21)
series = TensorDataset(torch.randn(36, 15, 5), torch.randn(36, 1))
model = Forecast()
optimizer = torch.optim.Adam(model.parameters())
for past, future in DataLoader(series, batch_size=12):
    loss = nn.functional.mse_loss(model(past), future)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item())
