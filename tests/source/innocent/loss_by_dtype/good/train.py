"""Dispatch by dtype, ndim, shape, isinstance, hasattr: generic engine used for three tasks."""
import torch
import torch.nn as nn
import torch.nn.functional as F


def pick_loss(y):
    if not y.dtype.is_floating_point:
        return nn.CrossEntropyLoss()
    if y.dim() == 1:
        return lambda o, t: F.mse_loss(o.squeeze(-1), t)
    return nn.MSELoss()


def to_float(t):
    return t.float() if t.dtype != torch.float32 else t


def accuracy(out, y):
    if torch.is_floating_point(y):
        if out.shape != y.shape:
            out = out.view_as(y)
        return -(out - y).abs().mean()
    return (out.argmax(-1) == y).float().mean()


def prepare(img):
    if img.ndim == 3:
        img = img.unsqueeze(0)
    if img.dtype == torch.uint8:
        img = img.float() / 255
    if img.shape[-1] in (1, 3):
        img = img.permute(0, 3, 1, 2)
    return img


def embed_or_project(module, x):
    if isinstance(module, nn.Embedding):
        return module(x.long())
    if hasattr(module, "in_features"):
        return module(x.to(module.weight.dtype))
    return x


class Engine:
    def __init__(self, model, lr=1e-2):
        self.model = model
        self.opt = torch.optim.Adam(model.parameters(), lr=lr)

    def fit(self, x, y, steps=3):
        crit = pick_loss(y)
        for _ in range(steps):
            self.opt.zero_grad()
            loss = crit(self.model(to_float(x)), y)
            loss.backward()
            self.opt.step()
        self.model.eval()
        with torch.no_grad():
            m = accuracy(self.model(to_float(x)), y)
        self.model.train()
        return loss.item(), m.item()


torch.manual_seed(0)
cls = Engine(nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3)))
print(cls.fit(torch.randn(20, 5), torch.randint(0, 3, (20,))))
print(Engine(nn.Linear(5, 1)).fit(torch.randn(20, 5).double(), torch.randn(20)))
print(Engine(nn.Linear(5, 4)).fit(torch.randint(0, 9, (20, 5)), torch.randn(20, 4)))

conv = nn.Conv2d(3, 4, 3)
for im in (torch.randint(0, 256, (12, 12, 3), dtype=torch.uint8), torch.rand(2, 12, 12, 3), torch.rand(1, 3, 12, 12), torch.rand(3, 12, 12)):
    print(conv(prepare(im)).shape)
emb, lin = nn.Embedding(10, 6), nn.Linear(4, 6)
print(embed_or_project(emb, torch.tensor([1., 2.])).shape, embed_or_project(lin, torch.arange(4)).shape)


def collapse(scores, mask=None):
    if mask is not None and mask.dtype is torch.bool:
        scores = scores.masked_fill(~mask, float("-inf"))
    elif mask is not None:
        scores = scores + mask
    return scores.softmax(-1)


print(collapse(torch.randn(2, 4), torch.ones(2, 4).bool()).sum().item(), collapse(torch.randn(2, 4), torch.zeros(4)).sum().item())
x = torch.randn(3, 4)
w = nn.Linear(4, 4)
h = w(x) if x.size(-1) == w.in_features else w(x.t())
print(h.shape)
loss = F.nll_loss(F.log_softmax(h, -1), torch.tensor([0, 1, 2])) if h.requires_grad else None
loss.backward()
y = torch.tensor([0., 1., 1.])
z = nn.Linear(4, 1)(x)
bce = F.binary_cross_entropy_with_logits(z if z.shape == y.shape else z.squeeze(1), y if y.dtype == z.dtype else y.float())
print(bce.item())
for t in (torch.tensor([1, 0, 1]), torch.tensor([1., 0., 1.])):
    if t.dtype == torch.int64:
        t = t.to(torch.float32)
    print(F.binary_cross_entropy_with_logits(z[:, 0], t).item())
