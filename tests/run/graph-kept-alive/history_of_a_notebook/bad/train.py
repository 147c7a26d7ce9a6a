import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(1)
X = torch.rand(120, 6)
y = (X[:, 0] > X[:, 1]).long()

net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
opt = torch.optim.Adam(net.parameters(), lr=1e-2)
history = {"loss": [], "accuracy": []}

# %% training
for epoch in range(6):
    order = torch.randperm(len(X))
    for rows in order.split(30):
        scores = net(X[rows])
        loss = F.cross_entropy(scores, y[rows])
        opt.zero_grad()
        loss.backward()
        opt.step()
        history["loss"].append(loss)
    with torch.no_grad():
        accuracy = (net(X).argmax(dim=1) == y).float().mean().item()
    history["accuracy"].append(accuracy)

# %% results
print("lowest loss", min(value.item() for value in history["loss"]))
print("accuracy", history["accuracy"][-1])
