"""Saliency and adversarial examples need the graph of an evaluated model."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
data = TensorDataset(torch.randn(48, 1, 8, 8), torch.randint(0, 4, (48,)))
loader = DataLoader(data, batch_size=12)
model = nn.Sequential(
    nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(256, 4)
)
optimizer = torch.optim.Adam(model.parameters())
for images, labels in loader:
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(images), labels).backward()
    optimizer.step()


def saliency_maps(loader):
    model.eval()
    maps = []
    for images, labels in loader:
        images.requires_grad_()
        scores = model(images)
        scores.gather(1, labels[:, None]).sum().backward()
        maps.append(images.grad.abs().amax(dim=1))
        model.zero_grad()
    return torch.cat(maps)


def test(epsilon):
    model.eval()
    correct = 0
    for images, labels in loader:
        images.requires_grad = True
        loss = nn.functional.cross_entropy(model(images), labels)
        model.zero_grad()
        loss.backward()
        attacked = (images + epsilon * images.grad.sign()).detach()
        with torch.no_grad():
            correct += (model(attacked).argmax(1) == labels).sum().item()
    return correct / 48


print(saliency_maps(loader).shape, [test(e) for e in (0.0, 0.1)])
