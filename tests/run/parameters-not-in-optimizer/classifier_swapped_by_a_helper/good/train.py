import torch
from torch import nn


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Linear(16, 24), nn.ReLU())
        self.classifier = nn.Linear(24, 10)

    def forward(self, x):
        return self.classifier(self.features(x))


def adapt(model, classes):
    model.classifier = nn.Linear(model.classifier.in_features, classes)
    return model


def main():
    torch.manual_seed(4)
    model = adapt(Backbone(), 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    criterion = nn.CrossEntropyLoss()
    x = torch.randn(60, 16)
    y = torch.randint(0, 3, (60,))
    for step in range(12):
        rows = torch.arange(step % 4 * 15, step % 4 * 15 + 15)
        loss = criterion(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(loss.item())


main()
