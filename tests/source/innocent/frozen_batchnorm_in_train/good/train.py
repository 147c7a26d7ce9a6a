"""More edge programs: conditional BN eval of a frozen part inside train, mixup, label smoothing, cutmix, OHEM."""
import contextlib
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

np.random.seed(0)
torch.manual_seed(0)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Frozen(nn.Module):
    def __init__(self):
        super().__init__()
        self.back = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.1), nn.Linear(8, 4))
        for p in self.back.parameters():
            p.requires_grad_(False)

    def train(self, mode=True):
        super().train(mode)
        self.back.eval()
        return self

    def forward(self, x):
        with torch.no_grad():
            f = self.back(x)
        return self.head(f)


@contextlib.contextmanager
def evaluating(net):
    was = net.training
    try:
        net.eval()
        with torch.no_grad():
            yield net
    finally:
        net.train(was)


def mixup(x, y, alpha=0.4):
    lam = float(np.random.beta(alpha, alpha))
    index = torch.randperm(x.size(0), device=x.device)
    return lam * x + (1 - lam) * x[index], y, y[index], lam


def one_hot_smooth(y, n, eps=0.1):
    t = torch.full((y.size(0), n), eps / (n - 1), device=y.device)
    t.scatter_(1, y.unsqueeze(1), 1 - eps)
    return t


def soft_ce(logits, soft):
    return -(soft * F.log_softmax(logits, dim=-1)).sum(-1).mean()


def ohem(logits, y, keep=0.75):
    l = F.cross_entropy(logits, y, reduction="none")
    k = max(1, int(keep * l.numel()))
    return l.topk(k).values.mean()


class FocalLoss(nn.Module):
    def __init__(self, gamma=2.0, weight=None):
        super().__init__()
        self.gamma = gamma
        self.register_buffer("weight", weight)

    def forward(self, logits, y):
        logp = F.log_softmax(logits, 1)
        pt = logp.exp().gather(1, y[:, None]).squeeze(1)
        return ((1 - pt) ** self.gamma * F.nll_loss(logp, y, self.weight, reduction="none")).mean()


X, Y = torch.randn(64, 3, 8, 8), torch.randint(0, 4, (64,))
model = Frozen().to(device)
opt = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=1e-2)
focal = FocalLoss(weight=torch.ones(4)).to(device)
for epoch in range(3):
    model.train()
    for x, y in zip(X.split(16), Y.split(16)):
        x, y = x.to(device), y.to(device)
        mx, ya, yb, lam = mixup(x, y)
        out = model(mx)
        loss = lam * F.cross_entropy(out, ya) + (1 - lam) * F.cross_entropy(out, yb)
        loss = loss + soft_ce(model(x), one_hot_smooth(y, 4)) + ohem(model(x), y) + focal(model(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
    with evaluating(model) as m:
        acc = (m(X.to(device)).argmax(1).cpu() == Y).float().mean()
    print(epoch, loss.item(), acc.item())

# MC dropout: dropout on, everything else in eval
model.eval()
for m in model.modules():
    if isinstance(m, nn.Dropout):
        m.train()
with torch.no_grad():
    samples = torch.stack([model(X.to(device)).softmax(-1) for _ in range(5)])
print("mc", samples.var(0).mean().item())
# Test-time augmentation
model.eval()
with torch.inference_mode():
    tta = sum(model(v).softmax(-1) for v in (X.to(device), X.flip(-1).to(device), X.flip(-2).to(device))) / 3
print((tta.argmax(-1).cpu() == Y).float().mean().item())
