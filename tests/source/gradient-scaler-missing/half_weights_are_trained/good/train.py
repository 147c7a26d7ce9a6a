"""A table of distances is learnt by a small network, on the CPU or on the GPU."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def distances(count):
    pairs = torch.rand(count, 4)
    apart = (pairs[:, :2] - pairs[:, 2:]).norm(dim=1, keepdim=True)
    return TensorDataset(pairs, apart)


def learn(network, loader, device, epochs):
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05)
    network.train()
    for epoch in range(epochs):
        for pairs, apart in loader:
            pairs, apart = pairs.to(device), apart.to(device)
            loss = nn.functional.mse_loss(network(pairs), apart)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(epoch, loss.item())


def main():
    torch.manual_seed(17)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
    network.to(device)
    learn(network, DataLoader(distances(80), batch_size=16, shuffle=True), device, epochs=2)


main()
