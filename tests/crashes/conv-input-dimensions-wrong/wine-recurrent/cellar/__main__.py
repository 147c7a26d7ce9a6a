import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader

from .bottles import cellar
from .network import CultivarNet

EPOCHS, BATCH, SEED = 4, 25, 3


def step(net, batch, optimizer):
    scores = net(batch["measurements"])
    loss = F.cross_entropy(scores, batch["cultivar"])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@torch.no_grad()
def accuracy(net, loader):
    net.eval()
    right = total = 0
    for batch in loader:
        guess = net(batch["measurements"]).argmax(dim=-1)
        right += (guess == batch["cultivar"]).sum().item()
        total += len(guess)
    return right / total


torch.manual_seed(SEED)
train_set, test_set = cellar(SEED)
net = CultivarNet(n_measurements=13, n_cultivars=3)
optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
for epoch in range(EPOCHS):
    net.train()
    losses = [step(net, b, optimizer) for b in DataLoader(train_set, BATCH, shuffle=True)]
    print(f"{epoch:>2} loss {sum(losses) / len(losses):.3f}", end="  ")
    print(f"accuracy {accuracy(net, DataLoader(test_set, BATCH)):.3f}")
