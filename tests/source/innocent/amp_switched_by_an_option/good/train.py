"""Mixed precision only where it is asked for: one path with the scaler and one without."""

import argparse
from contextlib import nullcontext

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--amp", action="store_true")
parser.add_argument("--clip", type=float, default=1.0)
args = parser.parse_args()

torch.manual_seed(4)
data = TensorDataset(torch.randn(48, 5), torch.randint(0, 3, (48,)))
loader = DataLoader(data, batch_size=12, shuffle=True)
model = nn.Sequential(nn.Linear(5, 16), nn.GELU(), nn.Linear(16, 3))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
scaler = torch.amp.GradScaler("cuda") if args.amp else None
precision = torch.autocast("cuda") if args.amp else nullcontext()


def update(loss):
    if scaler is None:
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), args.clip)
        optimizer.step()
        return
    scaler.scale(loss).backward()
    if args.clip > 0:
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), args.clip)
    scaler.step(optimizer)
    scaler.update()


for epoch in range(2):
    for x, y in loader:
        optimizer.zero_grad()
        with precision:
            loss = nn.functional.cross_entropy(model(x), y)
        update(loss)
    print(epoch, loss.item())
