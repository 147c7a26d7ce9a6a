import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(6, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 3)
        )

    def forward(self, x):
        return self.layers(x)


torch.manual_seed(0)
x, y = torch.randn(60, 6), torch.randint(0, 3, (60,))
labelled = DataLoader(TensorDataset(x, y), batch_size=20, shuffle=True)
unlabelled = DataLoader(TensorDataset(torch.randn(120, 6)), batch_size=40, shuffle=True)
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for epoch in range(2):
    model.train()
    for (inputs, labels), (other,) in zip(labelled, unlabelled):
        with torch.no_grad():
            sure, guess = F.softmax(model(other), dim=1).max(dim=1)
        strong = model(other + 0.2 * torch.randn_like(other))
        extra = F.cross_entropy(strong, guess, reduction="none")
        loss = F.cross_entropy(model(inputs), labels) + (extra * (sure > 0.9)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
