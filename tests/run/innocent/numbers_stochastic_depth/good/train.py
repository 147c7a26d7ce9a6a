import torch
from torch import nn


class Deep(nn.Module):
    def __init__(self, depth, size, keep):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(size, size) for _ in range(depth))
        self.keep = [keep**n for n in range(depth)]
        self.head = nn.Linear(size, 2)

    def forward(self, x):
        for layer, keep in zip(self.layers, self.keep):
            if not self.training or torch.rand(()) < keep:
                x = x + torch.relu(layer(x))
        return self.head(x)


torch.manual_seed(2)
model = Deep(depth=7, size=6, keep=0.5)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for step in range(20):
    inputs = torch.randn(16, 6)
    labels = (inputs.sum(dim=1) > 0).long()
    loss = nn.functional.cross_entropy(model(inputs), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
