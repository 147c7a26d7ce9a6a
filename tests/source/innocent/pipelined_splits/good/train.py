"""Two-device pipeline; teacher on another device; labels moved to the output's device."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
n_gpu = torch.cuda.device_count()
dev0 = torch.device("cuda:0" if n_gpu > 0 else "cpu")
dev1 = torch.device("cuda:1" if n_gpu > 1 else dev0)


class Split(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Sequential(nn.Linear(12, 32), nn.ReLU()).to(dev0)
        self.b = nn.Linear(32, 5).to(dev1)

    def forward(self, x):
        x = self.a(x.to(dev0))
        return self.b(x.to(dev1))


class Pipelined(Split):
    def __init__(self, split_size=8):
        super().__init__()
        self.split_size = split_size

    def forward(self, x):
        splits = iter(x.split(self.split_size, dim=0))
        s_next = next(splits)
        s_prev = self.a(s_next.to(dev0)).to(dev1)
        ret = []
        for s_next in splits:
            ret.append(self.b(s_prev))
            s_prev = self.a(s_next.to(dev0)).to(dev1)
        ret.append(self.b(s_prev))
        return torch.cat(ret)


teacher = nn.Sequential(nn.Linear(12, 64), nn.Dropout(0.2), nn.ReLU(), nn.Linear(64, 5)).cpu()
teacher.eval()
for p in teacher.parameters():
    p.requires_grad = False


def kd_loss(student_logits, teacher_logits, labels, T=2.0, alpha=0.5):
    soft = F.kl_div(F.log_softmax(student_logits / T, dim=1), F.softmax(teacher_logits / T, dim=1), reduction="batchmean") * T * T
    hard = F.cross_entropy(student_logits, labels)
    return alpha * soft + (1 - alpha) * hard


X, Y = torch.randn(96, 12), torch.randint(0, 5, (96,))
for cls in (Split, Pipelined):
    student = cls()
    opt = torch.optim.Adam(student.parameters(), lr=1e-3)
    for epoch in range(3):
        student.train()
        for x, y in zip(X.split(24), Y.split(24)):
            out = student(x)
            with torch.no_grad():
                t = teacher(x.cpu()).to(out.device)
            loss = kd_loss(out, t, y.to(out.device))
            opt.zero_grad()
            loss.backward()
            opt.step()
    student.eval()
    confusion = torch.zeros(5, 5, dtype=torch.long)
    with torch.no_grad():
        for x, y in zip(X.split(24), Y.split(24)):
            pred = student(x).argmax(dim=1).cpu()
            confusion.index_put_((y, pred), torch.ones_like(y), accumulate=True)
    print(cls.__name__, loss.item(), confusion.diag().sum().item() / confusion.sum().item())
