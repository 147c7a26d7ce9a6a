import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


samples = torch.linspace(-1, 1, 200).reshape(100, 2)
data = TensorDataset(samples, samples.prod(dim=1, keepdim=True))
train, test = random_split(data, [80, 20])
train_loader = DataLoader(train, batch_size=16, shuffle=True)
test_loader = DataLoader(test, batch_size=20)

model = nn.Sequential(nn.Linear(2, 24), nn.ELU(), nn.Linear(24, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
criterion = nn.SmoothL1Loss()


def run(loader, training):
    model.train(training)
    total = 0.0
    with torch.set_grad_enabled(training):
        for x, y in loader:
            loss = criterion(model(x), y)
            if training:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            total += loss.item()
    return total / len(loader)


for epoch in range(5):
    print(epoch, run(train_loader, True), run(test_loader, False))
