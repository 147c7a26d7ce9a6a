import torch
from torch import nn


def start(module):
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight)
        nn.init.constant_(module.bias, 0.0)


def network():
    net = nn.Sequential(
        nn.Conv2d(1, 6, 3),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(24, 3),
    )
    return net.apply(start)


torch.manual_seed(0)
images, labels = torch.rand(48, 1, 8, 8), torch.randint(0, 3, (48,))
net = network()
optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
for step in range(20):
    loss = nn.functional.cross_entropy(net(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(loss.item())
