"""Training counted in steps, with a validation every few of them."""

import itertools

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

TOTAL_STEPS, EVAL_EVERY = 24, 8


class MixerBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.mix = nn.Linear(width, width)
        self.drop = nn.Dropout(0.2)

    def forward(self, x):
        return x + self.drop(torch.relu(self.mix(x)))


def get_model():
    layers = [nn.Linear(9, 18)]
    layers += [MixerBlock(18) for _ in range(2)]
    layers.append(nn.Linear(18, 3))
    return nn.Sequential(*layers)


def validate(model, loader):
    model.eval()
    losses = []
    with torch.no_grad():
        for x, y in loader:
            losses.append(nn.functional.cross_entropy(model(x), y))
    return torch.stack(losses).mean().item()


torch.manual_seed(12)
x = torch.randn(160, 9)
y = x[:, :3].argmax(dim=1)
train_loader = DataLoader(TensorDataset(x[:128], y[:128]), batch_size=16, shuffle=True)
val_loader = DataLoader(TensorDataset(x[128:], y[128:]), batch_size=16)
model = get_model()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
batches = itertools.cycle(train_loader)
ema = 0.0
step = 0
model.train()
while step < TOTAL_STEPS:
    features, target = next(batches)
    loss = nn.functional.cross_entropy(model(features), target)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    ema = 0.95 * ema + 0.05 * loss.item()
    step += 1
    if step % EVAL_EVERY == 0:
        print(f"step {step}: train {ema:.3f}, val {validate(model, val_loader):.3f}")
