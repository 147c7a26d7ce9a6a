"""Loops over models x optimizers x schedulers with factories; results table; per-run seed; pruning."""
import functools
import itertools
import math
import torch
from torch import nn, optim
import torch.nn.functional as F


def seed_all(s):
    torch.manual_seed(s)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(s)


MODELS = {}


def register(name):
    def deco(fn):
        MODELS[name] = fn
        return fn
    return deco


@register("mlp")
def mlp(width=16):
    return nn.Sequential(nn.Flatten(), nn.Linear(36, width), nn.ReLU(), nn.Dropout(0.2), nn.Linear(width, 3))


@register("cnn")
def cnn(width=4):
    return nn.Sequential(nn.Conv2d(1, width, 3), nn.BatchNorm2d(width), nn.ReLU(), nn.Flatten(), nn.Linear(width * 16, 3))


@register("linear")
class Linear(nn.Module):
    def __init__(self, width=None):
        super().__init__()
        self.fc = nn.LazyLinear(3)

    def forward(self, x):
        return self.fc(x.flatten(1))


OPTIMS = {
    "sgd": functools.partial(optim.SGD, lr=0.05, momentum=0.9),
    "adam": functools.partial(optim.Adam, lr=1e-2),
    "rms": lambda p: optim.RMSprop(p, lr=1e-3),
}


def sched(name, o, total):
    if name == "none":
        return None
    if name == "warm":
        return optim.lr_scheduler.LambdaLR(o, lambda s: min(1.0, (s + 1) / 3) * 0.5 * (1 + math.cos(math.pi * s / total)))
    if name == "plateau":
        return optim.lr_scheduler.ReduceLROnPlateau(o, "min", patience=0)
    return optim.lr_scheduler.SequentialLR(o, [optim.lr_scheduler.LinearLR(o, 0.1, total_iters=2), optim.lr_scheduler.ExponentialLR(o, 0.9)], milestones=[2])


def evaluate(model, x, y):
    was = model.training
    model.eval()
    try:
        with torch.no_grad():
            out = model(x)
            return F.cross_entropy(out, y).item(), (out.argmax(1) == y).float().mean().item()
    finally:
        model.train(was)


def main():
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    seed_all(0)
    X, Y = torch.randn(80, 1, 6, 6), torch.randint(0, 3, (80,))
    xt, yt, xv, yv = (t.to(device) for t in (X[:64], Y[:64], X[64:], Y[64:]))
    table = {}
    for (mn, make), (on, mo), sn in itertools.product(MODELS.items(), OPTIMS.items(), ["none", "warm", "plateau", "seq"]):
        seed_all(1)
        model = make().to(device)
        with torch.no_grad():
            model(xt[:2])
        o = mo(model.parameters())
        s = sched(sn, o, 4)
        for epoch in range(4):
            for idx in torch.randperm(64, device=device).split(16):
                loss = F.cross_entropy(model(xt[idx]), yt[idx])
                o.zero_grad()
                loss.backward()
                o.step()
            vl, acc = evaluate(model, xv, yv)
            if isinstance(s, optim.lr_scheduler.ReduceLROnPlateau):
                s.step(vl)
            elif s is not None:
                s.step()
            if not math.isfinite(vl):
                break
        table[mn, on, sn] = acc
    for k, v in sorted(table.items(), key=lambda kv: -kv[1])[:3]:
        print(k, round(v, 3))


if __name__ == "__main__":
    main()
