import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(42)
data = load_breast_cancer()
x_train, x_test, y_train, y_test = train_test_split(data.data, data.target, test_size=0.2)
scaler = StandardScaler().fit(x_train)


def tensors(features, targets):
    inputs = torch.tensor(scaler.transform(features), dtype=torch.float32)
    return TensorDataset(inputs, torch.tensor(targets, dtype=torch.float32).unsqueeze(1))


train_loader = DataLoader(tensors(x_train, y_train), batch_size=32, shuffle=True)
test_loader = DataLoader(tensors(x_test, y_test), batch_size=64)
model = nn.Sequential(nn.Linear(30, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
criterion = nn.BCEWithLogitsLoss()

for epoch in range(3):
    model.train()
    for inputs, targets in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(inputs), targets)
        loss.backward()
        optimizer.step()
    model.eval()
    hits = 0
    with torch.no_grad():
        for inputs, targets in test_loader:
            hits += ((model(inputs) > 0) == (targets > 0.5)).sum().item()
    print(epoch, hits / len(y_test))
