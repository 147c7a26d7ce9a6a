"""Mixed precision with a gradient scaler."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

device = "cuda" if torch.cuda.is_available() else "cpu"


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)
        self.drop = nn.Dropout(0.1)

    def forward(self, x):
        return x + self.drop(self.down(nn.functional.gelu(self.up(self.norm(x)))))


class Model(nn.Module):
    def __init__(self, width=16, depth=2, classes=4):
        super().__init__()
        self.blocks = nn.Sequential(*[Block(width) for _ in range(depth)])
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.blocks(x))


def loaders():
    x = torch.randn(160, 16)
    y = x[:, :4].argmax(dim=1)
    train = TensorDataset(x[:128], y[:128])
    val = TensorDataset(x[128:], y[128:])
    return DataLoader(train, batch_size=32, shuffle=True), DataLoader(val, batch_size=32)


torch.manual_seed(2)
train_loader, val_loader = loaders()
model = Model().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
scaler = torch.amp.GradScaler(device, enabled=device == "cuda")
criterion = nn.CrossEntropyLoss(label_smoothing=0.05)

for epoch in range(2):
    model.train()
    for x, y in train_loader:
        x, y = x.to(device), y.to(device)
        with torch.autocast(device, enabled=device == "cuda"):
            loss = criterion(model(x), y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.zero_grad()
        scaler.step(optimizer)
        scaler.update()
    model.eval()
    hits = 0
    with torch.inference_mode():
        for x, y in val_loader:
            hits += (model(x.to(device)).argmax(1) == y.to(device)).sum().item()
    print(f"epoch {epoch}: {hits / len(val_loader.dataset):.3f}")
