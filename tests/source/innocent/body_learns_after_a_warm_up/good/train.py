"""The head learns alone in the first epochs: until then the body's output is taken without gradients."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(16, 32), nn.ReLU())
        self.head = nn.Linear(32, 4)
        self.is_warm = False

    def forward(self, x):
        if self.is_warm:
            return self.head(self.body(x))
        with torch.no_grad():
            features = self.body(x)
        return self.head(features)


torch.manual_seed(9)
net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
data = TensorDataset(torch.randn(96, 16), torch.randint(0, 4, (96,)))
loader = DataLoader(data, batch_size=32, shuffle=True)
for epoch in range(8):
    net.is_warm = epoch >= 3
    for x, y in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
