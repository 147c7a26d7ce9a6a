import torch
from torch import nn


class Trainer:
    def __init__(self):
        self.net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3))
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-3)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**126, growth_interval=50)

    def step(self, inputs, labels):
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = nn.functional.cross_entropy(self.net(inputs), labels)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.item()


torch.manual_seed(0)
trainer = Trainer()
inputs = torch.randn(64, 8) * 200
labels = (inputs[:, 0] > 0).long() + (inputs[:, 1] > 0).long()
for step in range(16):
    print(step, trainer.step(inputs, labels), trainer.scaler.get_scale())
