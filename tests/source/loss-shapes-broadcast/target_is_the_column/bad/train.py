import torch
import torch.nn.functional as F
from torch import nn


class Thermometer(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 1)
        self.optimizer = torch.optim.SGD(self.parameters(), lr=0.1)

    def forward(self, x):
        return self.layer(x)

    def fit(self, x, y):
        for _ in range(3):
            loss = F.mse_loss(self(x).flatten(), y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return loss.item()


torch.manual_seed(10)
weather = torch.randn(50, 4)
print(Thermometer().fit(weather, weather.mean(dim=1, keepdim=True)))
