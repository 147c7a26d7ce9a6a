"""A teacher that is the moving average of its student predicts in training mode, on purpose."""

import copy

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
loader = DataLoader(TensorDataset(torch.randn(64, 6), torch.randint(0, 2, (64,))), batch_size=16)
student = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 2))
teacher = copy.deepcopy(student)
for parameter in teacher.parameters():
    parameter.requires_grad = False
optimizer = torch.optim.Adam(student.parameters(), lr=1e-3)


def update_teacher(decay=0.99):
    for mine, theirs in zip(teacher.parameters(), student.parameters()):
        mine.data.mul_(decay).add_(theirs.data, alpha=1 - decay)


for epoch in range(2):
    student.train()
    teacher.train()
    for x, y in loader:
        logits = student(x)
        target = teacher(x + 0.05 * torch.randn_like(x)).softmax(dim=1)
        consistency = nn.functional.mse_loss(logits.softmax(dim=1), target)
        loss = nn.functional.cross_entropy(logits, y) + consistency
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        update_teacher()
    print(epoch, loss.item(), (target.argmax(1) == y).float().mean().item())
