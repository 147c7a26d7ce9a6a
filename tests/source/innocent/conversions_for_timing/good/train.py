"""Conversions whose result is dropped on purpose."""
import time
import torch
import torch.nn as nn

torch.manual_seed(0)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Normalizer(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.register_buffer("mu", torch.zeros(d))
        self.register_buffer("sd", torch.ones(d))

    def fit(self, x):
        self.mu.copy_(x.mean(0))
        self.sd.copy_(x.std(0).clamp_min(1e-6))
        return self

    def forward(self, x):
        return (x - self.mu) / self.sd


class Holder:
    """Not a tensor: its .to changes itself."""

    def __init__(self, tensors):
        self.tensors = tensors

    def to(self, device):
        self.tensors = [t.to(device) for t in self.tensors]

    def half(self):
        self.tensors = [t.half() for t in self.tensors]

    def float(self):
        self.tensors = [t.float() for t in self.tensors]

    def cpu(self):
        self.to("cpu")


def sync():
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def bench(fn, n=5):
    for _ in range(2):
        fn()
    sync()
    t = time.perf_counter()
    for _ in range(n):
        fn()
    sync()
    return (time.perf_counter() - t) / n


net = nn.Sequential(Normalizer(6), nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))
net.double()
net.float()
net.to(device)
net[0].fit(torch.randn(50, 6, device=device))
h = Holder([torch.ones(2), torch.zeros(3)])
h.to(device)
h.half()
h.float()
h.cpu()
big = torch.randn(100, 100)
print("to", bench(lambda: big.to(device)))
print("half", bench(lambda: big.half()))

# warm up the transfer path; the results are not wanted
for _ in range(3):
    big.to(device, non_blocking=True)
    sync()
start = time.perf_counter()
for _ in range(10):
    big.double()
print("double took", time.perf_counter() - start)

x = torch.randn(20, 6)
x.requires_grad_()
x.data.clamp_(-2, 2)
with torch.no_grad():
    x.mul_(2).add_(0.1).clamp_(-3, 3)
loss = net(x.to(device)).pow(2).mean()
loss.backward()
print("grad", x.grad.float().norm())
w = net[1].weight
w.data.normal_(0, 0.1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for p in net[1].parameters():
    p.requires_grad_(True)
for i in range(3):
    opt.zero_grad()
    loss = net(x.detach().to(device)).pow(2).mean()
    loss.backward()
    opt.step()
    print(i, loss.detach().cpu().float())
try:
    big.to("cuda:7")
except (RuntimeError, AssertionError) as e:
    print("no such device:", type(e).__name__)
assert big.long().dtype == torch.int64
