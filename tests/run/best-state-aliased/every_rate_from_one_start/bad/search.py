import argparse

import torch
from torch import nn, optim

parser = argparse.ArgumentParser(description="learning rates of a small classifier, compared")
parser.add_argument("--rates", type=float, nargs="+", default=[0.01, 0.05, 0.2])
parser.add_argument("--steps", type=int, default=15)
parser.add_argument("--hidden", type=int, default=24)
options = parser.parse_args()

torch.manual_seed(11)
points = torch.randn(256, 2)
inside = (points.norm(dim=1) < 1.1).long()

net = nn.Sequential(
    nn.Linear(2, options.hidden),
    nn.Tanh(),
    nn.Linear(options.hidden, options.hidden),
    nn.Tanh(),
    nn.Linear(options.hidden, 2),
)
start = {name: tensor for name, tensor in net.state_dict().items()}
criterion = nn.CrossEntropyLoss()
results = {}

for rate in options.rates:
    net.load_state_dict(start)
    optimizer = optim.SGD(net.parameters(), lr=rate, momentum=0.9)
    for step in range(options.steps):
        chosen = torch.randperm(len(points))[:64]
        optimizer.zero_grad()
        loss = criterion(net(points[chosen]), inside[chosen])
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        results[rate] = (net(points).argmax(dim=1) == inside).float().mean().item()

for rate, accuracy in sorted(results.items(), key=lambda pair: -pair[1]):
    print(f"{rate:<6} {accuracy:.3f}")
