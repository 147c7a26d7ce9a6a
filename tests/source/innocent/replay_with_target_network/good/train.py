import copy
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(1)
np.random.seed(1)


class Q(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 2))

    def forward(self, s):
        return self.net(s)

    @torch.no_grad()
    def act(self, s, eps):
        if np.random.rand() < eps:
            return int(np.random.randint(2))
        return int(self(s.unsqueeze(0)).argmax(1))


q = Q()
target = copy.deepcopy(q).eval()
opt = torch.optim.Adam(q.parameters(), lr=1e-3)
memory = []
for episode in range(3):
    s = torch.randn(4)
    for t in range(20):
        a = q.act(s, 0.1)
        n, r = torch.randn(4), float(np.random.rand())
        memory.append((s, a, r, n))
        s = n
        if len(memory) < 8:
            continue
        batch = [memory[i] for i in np.random.randint(0, len(memory), 8)]
        ss, aa, rr, nn_ = zip(*batch)
        ss, nn_ = torch.stack(ss), torch.stack(nn_)
        aa, rr = torch.tensor(aa), torch.tensor(rr)
        with torch.no_grad():
            y = rr + 0.99 * target(nn_).max(1).values
        loss = F.smooth_l1_loss(q(ss).gather(1, aa[:, None]).squeeze(1), y)
        for p in q.parameters():
            p.grad = None
        loss.backward()
        opt.step()
    target.load_state_dict(q.state_dict())
