import torch
import torch.nn.functional as F
from textures.loaders import KINDS, training_loader
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, len(KINDS))

    def forward(self, x):
        return self.head(F.relu(self.norm(self.conv(x))).amax(dim=(2, 3)))


def run_epoch(net, loader, optimizer):
    total = 0.0
    for batch in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(net(batch["picture"]), batch["label"])
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total / len(loader)


def main():
    torch.manual_seed(11)
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    loader = training_loader(count=40, batch_size=8)
    for epoch in range(3):
        print(epoch, f"{run_epoch(net, loader, optimizer):.3f}")


if __name__ == "__main__":
    main()
