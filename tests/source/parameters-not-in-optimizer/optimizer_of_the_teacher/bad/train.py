"""Knowledge distillation: a small net learns from the soft labels of a large one."""

import torch
import torch.nn.functional as F
from torch import nn


def mlp(*sizes):
    layers = []
    for before, after in zip(sizes[:-2], sizes[1:-1]):
        layers += [nn.Linear(before, after), nn.ReLU()]
    layers.append(nn.Linear(sizes[-2], sizes[-1]))
    return nn.Sequential(*layers)


def distill(steps, temperature=3.0):
    teacher = mlp(12, 64, 64, 5)
    student = mlp(12, 16, 5)
    optimizer = torch.optim.SGD(teacher.parameters(), lr=0.05)
    teacher.eval()
    for step in range(steps):
        samples = torch.randn(32, 12)
        with torch.no_grad():
            soft = F.softmax(teacher(samples) / temperature, dim=1)
        guesses = F.log_softmax(student(samples) / temperature, dim=1)
        loss = F.kl_div(guesses, soft, reduction="batchmean") * temperature**2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 0:
            print(step, loss.item())
    return student


if __name__ == "__main__":
    torch.manual_seed(0)
    distill(30)
