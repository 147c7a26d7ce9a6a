import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR


class Loop:
    def __init__(self, model, warm_up):
        self.model = model
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        self.schedule = LambdaLR(self.optimizer, lambda n: min(1.0, (n + 1) / warm_up))

    def batch(self, x, y):
        loss = nn.functional.cross_entropy(self.model(x), y)
        self.optimizer.zero_grad()
        loss.backward()
        return loss

    def fit(self, steps):
        for step in range(steps):
            x = torch.randn(16, 6)
            loss = self.batch(x, (x[:, 0] > 0).long())
            if step % 5 == 0:
                print(step, loss.item())
            self.optimizer.step()

    def fit_early(self, steps):
        for _ in range(steps):
            x = torch.randn(16, 6)
            self.batch(x, (x[:, 0] > 0).long())
            self.optimizer.step()
            self.schedule.step()


torch.manual_seed(0)
loop = Loop(nn.Linear(6, 2), 4)
loop.fit_early(12)
print(loop.schedule.get_last_lr())
