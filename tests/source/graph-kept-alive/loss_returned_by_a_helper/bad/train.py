from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Config:
    width: int = 24
    lr: float = 1e-2
    epochs: int = 2
    batch_size: int = 20


class Siamese(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(6, width), nn.ReLU(), nn.Dropout(p=0.3), nn.Linear(width, 8))

    def forward(self, a, b):
        return (self.embed(a) - self.embed(b)).pow(2).sum(dim=1)


def contrastive(distance, same, margin=1.0):
    apart = torch.clamp(margin - distance, min=0)
    return (same * distance + (1 - same) * apart).mean()


def train_step(model, batch, optimizer):
    a, b, same = batch
    loss = contrastive(model(a, b), same)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


@torch.inference_mode()
def evaluate(model, loader):
    model.eval()
    distances = []
    for a, b, same in loader:
        distances.append(model(a, b))
    model.train()
    return torch.cat(distances)


def pairs(count):
    a, b = torch.randn(count, 6), torch.randn(count, 6)
    same = (torch.rand(count) > 0.5).float()
    return TensorDataset(a, torch.where(same[:, None] > 0, a, b), same)


def main():
    config = Config()
    torch.manual_seed(4)
    train_loader = DataLoader(pairs(80), batch_size=config.batch_size, shuffle=True)
    val_loader = DataLoader(pairs(40), batch_size=config.batch_size)
    model = Siamese(config.width)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=config.lr)
    running = 0.0
    for epoch in range(config.epochs):
        for batch in train_loader:
            running = 0.9 * running + 0.1 * train_step(model, batch, optimizer)
        print(epoch, float(running), evaluate(model, val_loader).mean().item())


if __name__ == "__main__":
    main()
