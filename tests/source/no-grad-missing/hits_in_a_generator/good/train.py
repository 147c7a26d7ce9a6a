import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.low = nn.Sequential(nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU())
        self.high = nn.Sequential(nn.Conv2d(6, 12, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self.helper = nn.Linear(6, 4)
        self.head = nn.Linear(12, 4)

    def forward(self, x):
        low = self.low(x)
        scores = self.head(self.high(low).flatten(1))
        if self.training:
            return scores, self.helper(low.mean(dim=(2, 3)))
        return scores


torch.manual_seed(0)
x, y = torch.randn(80, 1, 10, 10), torch.randint(0, 4, (80,))
loader = DataLoader(TensorDataset(x, y), batch_size=16, shuffle=True)
model = TwoHeads()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
criterion = nn.CrossEntropyLoss()
for epoch in range(2):
    model.train()
    for images, labels in loader:
        scores, helped = model(images)
        loss = criterion(scores, labels) + 0.3 * criterion(helped, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        print(epoch, sum((model(i).argmax(1) == l).sum().item() for i, l in loader) / 80)
