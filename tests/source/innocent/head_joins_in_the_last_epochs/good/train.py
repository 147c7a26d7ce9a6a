"""The encoder first adapts to a head as it was drawn; the head joins the optimizer for the last epochs."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def fit(loader, epochs, joins):
    encoder = nn.Sequential(nn.Linear(8, 32), nn.ReLU())
    head = nn.Linear(32, 3)
    parts = {"encoder": encoder, "head": head}
    optimizer = torch.optim.SGD(parts["encoder"].parameters(), lr=0.05)
    for epoch in range(epochs):
        if epoch == joins:
            optimizer.add_param_group({"params": parts["head"].parameters(), "lr": 0.01})
        for x, y in loader:
            loss = nn.functional.cross_entropy(head(encoder(x)), y)
            for part in parts.values():
                part.zero_grad()
            loss.backward()
            optimizer.step()
    return loss.item()


if __name__ == "__main__":
    torch.manual_seed(0)
    x = torch.randn(240, 8)
    data = TensorDataset(x, x[:, :3].argmax(dim=1))
    print(fit(DataLoader(data, batch_size=24, shuffle=True), epochs=30, joins=23))
