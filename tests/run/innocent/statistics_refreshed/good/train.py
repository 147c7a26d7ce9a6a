import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def refresh_statistics(model, loader):
    """The averaged weights have never seen a batch: their batch norms are measured in training mode."""
    with torch.no_grad():
        for features, _ in loader:
            unused = model(features)


torch.manual_seed(3)
features = torch.randn(96, 6)
labels = (features[:, 0] > 0).long()
loader = DataLoader(TensorDataset(features, labels), batch_size=16, shuffle=True)
model = nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
average = {name: value.detach().clone() for name, value in model.named_parameters()}
for epoch in range(3):
    for x, y in loader:
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for name, value in model.named_parameters():
                average[name].mul_(0.9).add_(value, alpha=0.1)
with torch.no_grad():
    for name, value in model.named_parameters():
        value.copy_(average[name])
refresh_statistics(model, loader)
model.eval()
with torch.no_grad():
    print((model(features).argmax(1) == labels).float().mean().item())
