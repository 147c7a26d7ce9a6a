import copy

import torch
from torch import nn

torch.manual_seed(0)
students = [nn.Linear(5, 2) for _ in range(3)]
teacher = copy.deepcopy(students[0])
optimizers = [torch.optim.SGD(s.parameters(), lr=0.05) for s in students]
losses = {number: [] for number in range(3)}
for step in range(18):
    x = torch.randn(10, 5)
    with torch.no_grad():
        wanted = teacher(x)
    for number, (student, optimizer) in enumerate(zip(students, optimizers)):
        loss = (student(x) - wanted).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses[number].append(loss.item())
    with torch.no_grad():
        for parameter, own in zip(teacher.parameters(), students[0].parameters()):
            parameter.lerp_(own, 0.01)
print({number: values[-1] for number, values in losses.items()})
