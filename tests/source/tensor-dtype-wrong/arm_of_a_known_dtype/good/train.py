"""One trainer for two heads: which loss is taken depends on the dtype of the targets."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset


def make_data(count=64, features=6):
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(count, features, generator=generator)
    is_ill = (inputs.sum(dim=1) > 0).long()
    return TensorDataset(inputs, is_ill)


def loss_of(scores, targets):
    if targets.dtype == torch.long:
        return F.binary_cross_entropy_with_logits(scores.squeeze(1), targets.float())
    return F.mse_loss(scores.squeeze(1), targets)


class Head(nn.Module):
    def __init__(self, features, width=16):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(features, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, x):
        return self.layers(x)


def main():
    torch.manual_seed(3)
    loader = DataLoader(make_data(), batch_size=16, shuffle=True)
    model = Head(6)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for epoch in range(2):
        total = 0.0
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss = loss_of(model(inputs), targets)
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(epoch, total / len(loader))


if __name__ == "__main__":
    main()
