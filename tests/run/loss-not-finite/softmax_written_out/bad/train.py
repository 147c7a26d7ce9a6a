import torch
from torch import nn
import torch.nn.functional as F


class Pooling(nn.Module):
    """A weighted mean over time; the weights come from the items themselves."""

    def __init__(self, size):
        super().__init__()
        self.score = nn.Linear(size, 1)
        self.head = nn.Linear(size, 3)

    def forward(self, items):
        scores = self.score(items)
        weights = torch.exp(scores) / torch.exp(scores).sum(dim=1, keepdim=True)
        return self.head((weights * items).sum(dim=1))


def run(steps=10):
    torch.manual_seed(4)
    items = torch.randn(32, 9, 6) * 400
    labels = torch.randint(0, 3, (32,))
    model = Pooling(6)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    losses = []
    for _ in range(steps):
        loss = F.cross_entropy(model(items), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


print(run())
