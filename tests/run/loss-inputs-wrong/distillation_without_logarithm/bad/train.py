import torch
import torch.nn.functional as F
from torch import nn

T = 3.0


def mlp(width):
    return nn.Sequential(nn.Linear(10, width), nn.ReLU(), nn.Linear(width, 4))


torch.manual_seed(5)
data = torch.randn(96, 10)
teacher, student = mlp(64), mlp(8)
teacher.eval()
optimizer = torch.optim.AdamW(student.parameters(), lr=3e-3)

for epoch in range(4):
    for batch in data.split(32):
        with torch.no_grad():
            teacher_soft = F.softmax(teacher(batch) / T, dim=1)
        student_soft = F.softmax(student(batch) / T, dim=1)
        loss = F.kl_div(student_soft, teacher_soft, reduction="batchmean") * T * T
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    agree = (student(data).argmax(1) == teacher(data).argmax(1)).float().mean().item()
    print(epoch, loss.item(), agree)
