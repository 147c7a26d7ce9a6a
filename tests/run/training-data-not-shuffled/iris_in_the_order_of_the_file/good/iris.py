"""Three kinds of iris. The file lists fifty of each, one kind after the other."""

import torch
from sklearn.datasets import load_iris
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)

bunch = load_iris()
flowers = torch.tensor(bunch.data, dtype=torch.float32)
flowers = (flowers - flowers.mean(dim=0)) / flowers.std(dim=0)
species = torch.tensor(bunch.target)

train_loader = DataLoader(TensorDataset(flowers, species), batch_size=10, shuffle=True)

model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

for epoch in range(5):
    model.train()
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: last loss {loss.item():.3f}")

model.eval()
with torch.no_grad():
    accuracy = (model(flowers).argmax(dim=1) == species).float().mean()
print(f"accuracy {accuracy.item():.2f}")
