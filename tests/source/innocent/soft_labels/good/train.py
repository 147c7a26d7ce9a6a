import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def mixup(x, y, classes, alpha=0.4):
    share = torch.distributions.Beta(alpha, alpha).sample().item()
    order = torch.randperm(len(x))
    labels = F.one_hot(y, classes).float()
    return share * x + (1 - share) * x[order], share * labels + (1 - share) * labels[order]


class Net(nn.Module):
    def __init__(self, features, classes):
        super().__init__()
        self.first = nn.Linear(features, 24)
        self.norm = nn.BatchNorm1d(24)
        self.last = nn.Linear(24, classes)

    def forward(self, x):
        return self.last(torch.relu(self.norm(self.first(x))))


torch.manual_seed(4)
x, y = torch.randn(120, 7), torch.randint(0, 3, (120,))
loader = DataLoader(TensorDataset(x, y), batch_size=20, shuffle=True)
model = Net(7, 3)
optimizer = torch.optim.AdamW(model.parameters())
criterion = nn.CrossEntropyLoss()
for epoch in range(2):
    for inputs, labels in loader:
        mixed, targets = mixup(inputs, labels, 3)
        loss = criterion(model(mixed), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
