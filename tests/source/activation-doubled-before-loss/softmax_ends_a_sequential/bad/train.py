import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(3)
digits = TensorDataset(torch.rand(120, 1, 8, 8), torch.randint(0, 10, (120,)))
network = nn.Sequential(
    nn.Conv2d(1, 6, kernel_size=3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(6 * 4 * 4, 10),
    nn.Softmax(dim=1),
)
loss_fn = nn.CrossEntropyLoss()
sgd = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)


def one_epoch():
    network.train()
    hits = 0
    for images, classes in DataLoader(digits, batch_size=30, shuffle=True):
        scores = network(images)
        loss = loss_fn(scores, classes)
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        _, best = torch.max(scores, 1)
        hits += (best == classes).sum().item()
    return hits / len(digits)


for epoch in range(2):
    print(f"epoch {epoch}: {one_epoch():.2f}")
