import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

EPOCHS = 4
torch.manual_seed(0)
x, y = torch.randn(100, 6), torch.randint(0, 3, (100,))
train_loader = DataLoader(TensorDataset(x[:80], y[:80]), batch_size=20, shuffle=True)
test_loader = DataLoader(TensorDataset(x[80:], y[80:]), batch_size=20)
model = nn.Sequential(nn.Linear(6, 20), nn.Dropout(0.4), nn.ReLU(), nn.Linear(20, 3))
optimizer = torch.optim.Adam(model.parameters())
model.train()
for epoch in range(EPOCHS):
    losses = []
    for batch, target in train_loader:
        loss = nn.functional.cross_entropy(model(batch), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    print(epoch, torch.stack(losses).mean())
    if epoch == EPOCHS - 1:
        model.eval()
        with torch.no_grad():
            hits = sum((model(b).argmax(1) == t).sum().item() for b, t in test_loader)
        print("accuracy", hits / 20)
