import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Regressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(5, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 1))

    def forward(self, x):
        return self.body(x).squeeze(1)


def fit(model, loader):
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    model.train()
    for _ in range(3):
        for x, y in loader:
            optimizer.zero_grad()
            nn.functional.mse_loss(model(x), y).backward()
            optimizer.step()


def mc_dropout_spread(model, x, draws=10):
    """Dropout stays on: the draws differ by as much as the model is unsure."""
    model.train()
    with torch.no_grad():
        answers = torch.stack([model(x) for _ in range(draws)])
    return answers.mean(0), answers.std(0)


torch.manual_seed(0)
x = torch.randn(160, 5)
y = x.sum(dim=1)
model = Regressor()
fit(model, DataLoader(TensorDataset(x[:120], y[:120]), batch_size=20, shuffle=True))
mean, spread = mc_dropout_spread(model, x[120:])
print((mean - y[120:]).abs().mean().item(), spread.mean().item())
