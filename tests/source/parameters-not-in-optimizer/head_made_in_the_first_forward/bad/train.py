"""The size of the flattened maps need not be computed: the head is made when the first batch comes."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class LazyNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.classes = classes
        self.maps = nn.Sequential(nn.Conv2d(1, 4, 3, stride=2), nn.ReLU(), nn.Conv2d(4, 8, 3))
        self.head = None

    def forward(self, x):
        flat = torch.relu(self.maps(x)).flatten(1)
        if self.head is None:
            self.head = nn.Linear(flat.size(1), self.classes)
        return self.head(flat)


torch.manual_seed(2)
digits = TensorDataset(torch.rand(60, 1, 14, 14), torch.randint(0, 10, (60,)))
loader = DataLoader(digits, batch_size=20, shuffle=True)
net = LazyNet(10)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for epoch in range(2):
    for images, labels in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(images), labels)
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
