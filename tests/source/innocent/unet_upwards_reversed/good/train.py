import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import TensorDataset, DataLoader

IGNORE = 255


class DoubleConv(nn.Sequential):
    def __init__(self, i, o):
        super().__init__(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True),
                         nn.Conv2d(o, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True))


class Up(nn.Module):
    def __init__(self, i, o, bilinear):
        super().__init__()
        if bilinear:
            self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
            self.conv = DoubleConv(i + o, o)
        else:
            self.up = nn.ConvTranspose2d(i, i // 2, 2, stride=2)
            self.conv = DoubleConv(i // 2 + o, o)

    def forward(self, x, skip):
        x = self.up(x)
        dy, dx = skip.size(2) - x.size(2), skip.size(3) - x.size(3)
        x = F.pad(x, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
        return self.conv(torch.cat([skip, x], dim=1))


class UNet(nn.Module):
    def __init__(self, n_in, n_cls, width=8, depth=3, bilinear=False):
        super().__init__()
        self.inc = DoubleConv(n_in, width)
        ch = [width * 2 ** k for k in range(depth + 1)]
        self.downs = nn.ModuleList(nn.Sequential(nn.MaxPool2d(2), DoubleConv(a, b)) for a, b in zip(ch, ch[1:]))
        self.ups = nn.ModuleList(Up(b, a, bilinear) for a, b in reversed(list(zip(ch, ch[1:]))))
        self.out = nn.Conv2d(width, n_cls, 1)
        self.aux = nn.Conv2d(ch[-1], n_cls, 1)

    def forward(self, x):
        skips = [self.inc(x)]
        for d in self.downs:
            skips.append(d(skips[-1]))
        y = skips.pop()
        aux = self.aux(y) if self.training else None
        for u in self.ups:
            y = u(y, skips.pop())
        return self.out(y), aux


def dice(logits, target, n_cls, eps=1.0):
    valid = (target != IGNORE)
    t = F.one_hot(torch.where(valid, target, 0), n_cls).permute(0, 3, 1, 2).float() * valid.unsqueeze(1)
    p = logits.softmax(1) * valid.unsqueeze(1)
    inter = (p * t).sum((0, 2, 3))
    return 1 - ((2 * inter + eps) / (p.sum((0, 2, 3)) + t.sum((0, 2, 3)) + eps)).mean()


def confusion(pred, target, n):
    k = target != IGNORE
    return torch.bincount(n * target[k] + pred[k], minlength=n * n).reshape(n, n)


def main():
    torch.manual_seed(0)
    n_cls = 4
    x = torch.rand(12, 3, 37, 45)
    y = (x.mean(1) * n_cls).long().clamp_(0, n_cls - 1)
    y[:, 0] = IGNORE
    dl = DataLoader(TensorDataset(x, y), batch_size=4, shuffle=True)
    ce = nn.CrossEntropyLoss(ignore_index=IGNORE, weight=torch.tensor([1., 2., 2., 1.]))
    for bil in (False, True):
        net = UNet(3, n_cls, bilinear=bil)
        opt = torch.optim.AdamW(net.parameters(), 1e-3)
        sched = torch.optim.lr_scheduler.OneCycleLR(opt, 1e-2, total_steps=2 * len(dl))
        for ep in range(2):
            net.train()
            for a, b in dl:
                out, aux = net(a)
                aux = F.interpolate(aux, b.shape[-2:], mode="bilinear", align_corners=False)
                loss = ce(out, b) + dice(out, b, n_cls) + 0.4 * ce(aux, b)
                opt.zero_grad()
                loss.backward()
                opt.step()
                sched.step()
            net.eval()
            cm = torch.zeros(n_cls, n_cls, dtype=torch.int64)
            with torch.no_grad():
                for a, b in dl:
                    cm += confusion(net(a)[0].argmax(1), b, n_cls)
            iou = cm.diag() / (cm.sum(0) + cm.sum(1) - cm.diag()).clamp(min=1)
            print(bil, ep, loss.item(), iou.mean().item())


if __name__ == "__main__":
    main()
