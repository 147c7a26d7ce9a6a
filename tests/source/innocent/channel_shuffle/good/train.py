import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


class Shuffled(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 4, 1)

    def forward(self, x):
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)
        x = self.conv(x).permute(0, 2, 3, 1).reshape(n, h * w, 4)
        return x.view(n, h, w, 4).mean(dim=(1, 2))


def one_epoch():
    total = 0.0
    for x, y in DataLoader(data, batch_size=7):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total


torch.manual_seed(25)
data = TensorDataset(torch.randn(20, 8, 6, 6), torch.randint(0, 4, (20,)))
model = Shuffled()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
for epoch in range(2):
    scheduler.step(one_epoch())
