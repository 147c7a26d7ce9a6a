"""A loop of one's own on accelerate: accumulation by its context, clipping when gradients are whole, gathered metrics."""

import argparse
import math

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def spiral(points: int = 240):
    angle = torch.rand(points) * 4 * math.pi
    side = torch.arange(points) % 2
    radius = angle / (4 * math.pi)
    x = torch.stack([radius * angle.cos(), radius * angle.sin()], 1) * (2 * side - 1).unsqueeze(1)
    return TensorDataset(x, side)


def evaluate(accelerator, model, loader):
    model.eval()
    right = total = 0
    for points, sides in loader:
        with torch.no_grad():
            predicted = model(points).argmax(-1)
        predicted, sides = accelerator.gather_for_metrics((predicted, sides))
        right += (predicted == sides).sum().item()
        total += len(sides)
    return right / total


def train(options):
    accelerator = Accelerator(
        cpu=True, mixed_precision="bf16", gradient_accumulation_steps=options.accumulate
    )
    set_seed(options.seed)
    model = nn.Sequential(
        nn.Linear(2, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 2)
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr)
    training = DataLoader(spiral(), batch_size=16, shuffle=True)
    validation = DataLoader(spiral(80), batch_size=16)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=options.epochs * 8)
    model, optimizer, training, validation, schedule = accelerator.prepare(
        model, optimizer, training, validation, schedule
    )
    criterion = nn.CrossEntropyLoss()
    for epoch in range(options.epochs):
        model.train()
        total = 0.0
        for points, sides in training:
            with accelerator.accumulate(model):
                loss = criterion(model(points), sides)
                accelerator.backward(loss)
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
            total += loss.detach()
        accuracy = evaluate(accelerator, model, validation)
        accelerator.print(epoch, float(total) / len(training), accuracy)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--lr", type=float, default=1e-2)
    parser.add_argument("--accumulate", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    train(parser.parse_args())
