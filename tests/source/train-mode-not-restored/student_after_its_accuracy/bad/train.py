"""A small student learns from a larger teacher."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def network(width):
    return nn.Sequential(
        nn.Linear(10, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.1), nn.Linear(width, 5)
    )


def loaders():
    x = torch.randn(250, 10)
    y = x[:, :5].argmax(1)
    train, val = TensorDataset(x[:200], y[:200]), TensorDataset(x[200:], y[200:])
    return DataLoader(train, batch_size=25, shuffle=True), DataLoader(val, batch_size=25)


def pretrain(teacher, loader, epochs=2):
    optimizer = torch.optim.Adam(teacher.parameters(), lr=1e-2)
    teacher.train()
    for _ in range(epochs):
        for x, y in loader:
            optimizer.zero_grad()
            F.cross_entropy(teacher(x), y).backward()
            optimizer.step()


def distill(student, teacher, loader, val_loader, epochs=2, temperature=3.0, alpha=0.7):
    optimizer = torch.optim.Adam(student.parameters(), lr=1e-2)
    teacher.eval()
    for epoch in range(epochs):
        epoch_loss = 0.0
        for x, y in loader:
            with torch.no_grad():
                soft = F.softmax(teacher(x) / temperature, dim=1)
            logits = student(x)
            log_soft = F.log_softmax(logits / temperature, dim=1)
            kd = F.kl_div(log_soft, soft, reduction="batchmean") * temperature**2
            loss = alpha * kd + (1 - alpha) * F.cross_entropy(logits, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            epoch_loss += loss.item()
        print(f"epoch {epoch}: loss {epoch_loss:.3f}, accuracy {accuracy(student, val_loader):.2f}")


@torch.no_grad()
def accuracy(model, loader):
    model.eval()
    hits = [(model(x).argmax(1) == y).float().mean() for x, y in loader]
    return torch.stack(hits).mean().item()


if __name__ == "__main__":
    torch.manual_seed(8)
    train_loader, val_loader = loaders()
    teacher, student = network(64), network(8)
    pretrain(teacher, train_loader)
    print("teacher", accuracy(teacher, val_loader))
    distill(student, teacher, train_loader, val_loader)
