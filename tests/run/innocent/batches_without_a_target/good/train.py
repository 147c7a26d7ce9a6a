import torch
from torch import nn
from torch.utils.data import DataLoader


def detection_loss(scores, targets):
    """The first items have nothing to find: then the loss is a zero that backward accepts."""
    known = targets >= 0
    if not known.any():
        return torch.zeros((), requires_grad=True)
    return nn.functional.cross_entropy(scores[known], targets[known])


def main():
    torch.manual_seed(17)
    images = torch.randn(96, 10)
    targets = torch.cat([torch.full((40,), -1), torch.randint(3, (56,))])
    loader = DataLoader(list(zip(images, targets)), batch_size=8, shuffle=False)
    model = nn.Sequential(nn.Linear(10, 12), nn.ReLU(), nn.Linear(12, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for epoch in range(2):
        for image, target in loader:
            loss = detection_loss(model(image), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(epoch, loss.item())


main()
