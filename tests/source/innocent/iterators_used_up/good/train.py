"""Iterators consumed partly: data prefetcher, next(iter), infinite loader, zip of loaders, chunk sizes."""
import itertools
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Prefetcher:
    def __init__(self, loader, device):
        self.loader, self.device = iter(loader), device
        self.stream = torch.cuda.Stream() if device.type == "cuda" else None
        self.preload()

    def preload(self):
        try:
            self.next_x, self.next_y = next(self.loader)
        except StopIteration:
            self.next_x = self.next_y = None
            return
        if self.stream is not None:
            with torch.cuda.stream(self.stream):
                self.next_x = self.next_x.cuda(non_blocking=True)
                self.next_y = self.next_y.cuda(non_blocking=True)

    def next(self):
        if self.stream is not None:
            torch.cuda.current_stream().wait_stream(self.stream)
        x, y = self.next_x, self.next_y
        self.preload()
        return x, y


def cycle(loader):
    while True:
        for b in loader:
            yield b


labeled = TensorDataset(torch.randn(60, 9), torch.randint(0, 3, (60,)))
unlabeled = TensorDataset(torch.randn(200, 9))
ll, ul = DataLoader(labeled, 10, shuffle=True), DataLoader(unlabeled, 40, shuffle=True)
net = nn.Sequential(nn.Linear(9, 18), nn.ReLU(), nn.Linear(18, 3)).to(device)
opt = torch.optim.SGD(net.parameters(), lr=0.1)

pf = Prefetcher(ll, device)
x, y = pf.next()
while x is not None:
    loss = F.cross_entropy(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    x, y = pf.next()
print("prefetch", loss.item())

# semi-supervised: FixMatch-like concat of weak/strong
lab_iter = cycle(ll)
for (u,) in itertools.islice(ul, 4):
    x, y = next(lab_iter)
    x, y, u = x.to(device), y.to(device), u.to(device)
    strong = u + 0.2 * torch.randn_like(u)
    logits = net(torch.cat([x, u, strong]))
    lx = logits[:x.size(0)]
    lw, ls = logits[x.size(0):].chunk(2)
    with torch.no_grad():
        conf, pseudo = lw.softmax(-1).max(-1)
        keep = (conf > 0.5).float()
    loss = F.cross_entropy(lx, y) + (F.cross_entropy(ls, pseudo, reduction="none") * keep).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
print("fixmatch", loss.item())

# the first item shapes the model, the rest trains it
data = torch.arange(30.).view(10, 3)
rows = iter(data.split(2))
first = next(rows)
acc = [first]
for r in rows:
    acc.append(r * 0.5)
joined = torch.cat(acc)
print(F.mse_loss(joined, data.clone()).item(), joined.shape)
lin = nn.Linear(10, 1)
print(lin(joined.t()).shape)

it = iter(range(8))
next(it)
n = sum(1 for _ in it)
print(nn.Linear(n, 2)(torch.randn(4, 7)).shape)
layers = []
sizes = iter([16, 32, 64, 10])
prev = next(sizes)
for s in sizes:
    layers += [nn.Linear(prev, s), nn.ReLU()]
    prev = s
mlp = nn.Sequential(*layers[:-1])
print(F.cross_entropy(mlp(torch.randn(6, 16)), torch.randint(0, 10, (6,))).item())
