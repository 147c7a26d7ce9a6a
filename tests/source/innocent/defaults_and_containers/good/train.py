"""Config-driven network builders: mutated configs, pop, generators, closures, aliasing, walrus."""
import copy
from collections import OrderedDict, deque
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


def conv_stack(cfg, in_c=3):
    cfg = list(cfg)
    layers = []
    while cfg:
        v = cfg.pop(0)
        if v == "M":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(in_c, v, 3, padding=1), nn.ReLU()]
            in_c = v
    return nn.Sequential(*layers), in_c


def gen_dims():
    d = 8
    while True:
        yield d
        d *= 2


def counter():
    n = 0

    def inc():
        nonlocal n
        n += 4
        return n
    return inc


feats, c = conv_stack([4, "M", 8, 8, "M"])
head = nn.Linear(c * 4 * 4, 5)
print(head(feats(torch.randn(2, 3, 16, 16)).flatten(1)).shape)

g = gen_dims()
a, b = next(g), next(g)
block = nn.Sequential(nn.Linear(a, b), nn.ReLU(), nn.Linear(b, next(g)))
print(nn.Linear(32, 2)(block(torch.randn(3, 8))).shape)

inc = counter()
w1, w2 = inc(), inc()
print(nn.Linear(w2, w1)(torch.randn(2, 8)).shape, inc())

defaults = {"dim": 16, "depth": 2, "out": 3}
small = defaults.copy()
small["dim"] = 8
alias = defaults
alias["dim"] = 24


def build(dim, depth, out, **kw):
    od = OrderedDict()
    for i in range(depth):
        od[f"fc{i}"] = nn.Linear(dim, dim)
        od[f"act{i}"] = nn.ReLU()
    od["out"] = nn.Linear(dim, out)
    return nn.Sequential(od)


print(build(**defaults)(torch.randn(2, 24)).shape, build(**small)(torch.randn(2, 8)).shape)
opts = dict(defaults)
dim = opts.pop("dim")
if (extra := opts.get("extra")) is None:
    extra = 2
opts.update(depth=extra)
print(build(dim, **opts)(torch.randn(1, 24)).shape)

window = deque(maxlen=4)
for t in range(10):
    window.append(torch.randn(6))
stack = torch.stack(list(window))
print(F.mse_loss(stack, torch.zeros(4, 6)).item())
net = nn.Linear(4 * 6, 2)
print(net(stack.flatten()).shape)

names = iter("abcdef")
picked = [next(names) for _ in range(2)]
rest = list(names)
print(nn.Linear(len(rest), len(picked))(torch.randn(1, 4)).shape)
nums = (n for n in range(6))
first = next(nums)
print(nn.Linear(sum(1 for _ in nums), 1)(torch.ones(1, 5)).shape)
head_, *tail = [torch.randn(2, 3) for _ in range(4)]
print(F.l1_loss(torch.cat(tail), torch.zeros(6, 3)).item())
z = zip(range(5), "abc")
pairs = list(z)
again = list(z)
print(nn.Linear(len(pairs) + len(again), 1)(torch.ones(1, 3)).shape)
m = map(lambda v: v * 2, [1, 2, 3])
total = sum(m) + sum(m)
print(nn.Linear(total, 1)(torch.ones(1, 12)).shape)
f = filter(None, [0, 4, 8])
i0 = next(f)
print(nn.Linear(i0, next(f))(torch.ones(1, 4)).shape)
e = enumerate(["x", "y", "z"])
next(e)
for i, ch in e:
    last = i
print(nn.Linear(last, 1)(torch.ones(1, 2)).shape)
r = reversed([1, 2, 3])
top = next(r)
left = sum(r)
print(nn.Linear(left, top)(torch.ones(1, 3)).shape)
model = build(8, 1, 3)
model.fc0 = nn.Linear(10, 8)
model.out = nn.Linear(8, 7)
clone = copy.deepcopy(model)
clone.out = nn.Identity()
print(model(torch.ones(1, 10)).shape, nn.Linear(8, 1)(clone(torch.ones(1, 10))).shape)
del model[-1]
model.append(nn.Linear(8, 2))
print(F.cross_entropy(model(torch.ones(3, 10)), torch.tensor([0, 1, 1])).item())
