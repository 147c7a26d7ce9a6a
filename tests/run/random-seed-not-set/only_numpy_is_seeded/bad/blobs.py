import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

np.random.seed(5)

CENTRES = np.array([[0.0, 0.0], [2.0, 2.0], [0.0, 3.0]])


def blobs(count):
    labels = np.arange(count) % len(CENTRES)
    points = CENTRES[labels] + 0.4 * np.random.randn(count, 2)
    return torch.tensor(points, dtype=torch.float32), torch.tensor(labels)


data = TensorDataset(*blobs(150))
loader = DataLoader(data, batch_size=30, shuffle=True)
model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
criterion = nn.CrossEntropyLoss()

for epoch in range(4):
    for points, labels in loader:
        optimizer.zero_grad()
        loss = criterion(model(points), labels)
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
