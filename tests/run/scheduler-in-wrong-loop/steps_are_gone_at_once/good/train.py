import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset, random_split


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 6, 5)
        self.drop = nn.Dropout(0.1)
        self.fc = nn.Linear(6, 2)

    def forward(self, x):
        x = F.relu(self.conv(x)).mean(dim=-1)
        return self.fc(self.drop(x))


def train(model, loader, optimizer, epoch):
    model.train()
    for index, (wave, kind) in enumerate(loader):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(wave), kind)
        loss.backward()
        optimizer.step()
        if index % 8 == 0:
            print(f"epoch {epoch} batch {index}: {loss.item():.4f}")


def test(model, loader):
    model.eval()
    right = 0
    with torch.no_grad():
        for wave, kind in loader:
            right += (model(wave).argmax(dim=1) == kind).sum().item()
    return right / len(loader.dataset)


torch.manual_seed(21)
kinds = torch.arange(240) % 2
time = torch.linspace(0, 3, 40)
waves = torch.sin(time * (4 + 6 * kinds.unsqueeze(1))) + 0.2 * torch.randn(240, 40)
data = TensorDataset(waves.unsqueeze(1), kinds)
train_data, test_data = random_split(data, [192, 48])
train_loader = DataLoader(train_data, batch_size=8, shuffle=True)
test_loader = DataLoader(test_data, batch_size=24)
model = Net()
optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
for epoch in range(1, 6):
    train(model, train_loader, optimizer, epoch)
    scheduler.step()
    print(f"epoch {epoch}: {test(model, test_loader):.3f}")
