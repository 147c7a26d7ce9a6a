import torch
import torch.nn.functional as F
from torch import nn

T = 3.0
torch.manual_seed(4)
teacher = nn.Linear(6, 5).requires_grad_(False)
student = nn.Linear(6, 5)
kl = nn.KLDivLoss(reduction="batchmean")
optimizer = torch.optim.Adam(student.parameters())
for step in range(3):
    x = torch.randn(32, 6)
    with torch.no_grad():
        soft = F.softmax(teacher(x) / T, dim=1)
    student_probs = F.softmax(student(x) / T, dim=1)
    loss = kl(student_probs, soft) * T * T
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item())
