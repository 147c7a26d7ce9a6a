"""DataParallel moves the batch to the GPUs by itself; only the labels have to be where the result is."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(10)
data = TensorDataset(torch.randn(64, 10), torch.randint(0, 3, (64,)))
loader = DataLoader(data, batch_size=16, shuffle=True)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
model = nn.DataParallel(nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 3)))
model.to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(2):
    for features, labels in loader:
        optimizer.zero_grad()
        outputs = model(features)
        loss = nn.functional.cross_entropy(outputs, labels.to(outputs.device))
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
