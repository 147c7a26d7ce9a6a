import copy

import torch
from torch import nn
import torch.nn.functional as F


class MeanTeacher(nn.Module):
    def __init__(self, student):
        super().__init__()
        self.student = student
        self.teacher = copy.deepcopy(student)

    def forward(self, weak, strong):
        with torch.no_grad():
            wanted = self.teacher(weak).softmax(dim=1)
        return self.student(strong), wanted

    @torch.no_grad()
    def follow(self, decay=0.95):
        for mine, others in zip(self.teacher.parameters(), self.student.parameters()):
            mine.mul_(decay).add_(others, alpha=1 - decay)


torch.manual_seed(0)
model = MeanTeacher(nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 3)))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
labels = torch.randint(0, 3, (48,))
clean = torch.randn(3, 10)[labels] + 0.1 * torch.randn(48, 10)
for step in range(24):
    scores, wanted = model(clean, clean + 0.3 * torch.randn_like(clean))
    loss = F.cross_entropy(scores[:12], labels[:12]) + F.cross_entropy(scores, wanted)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    model.follow()
