# Denoising autoencoder on handwritten digits
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(10)
np.random.seed(10)

N_EPOCHS = 4
BATCH = 100
NOISE = 0.3


class Encoder(nn.Module):
    def __init__(self, code):
        super().__init__()
        self.lin1 = nn.Linear(64, 40)
        self.lin2 = nn.Linear(40, code)

    def forward(self, x):
        return self.lin2(F.relu(self.lin1(x)))


class Decoder(nn.Module):
    def __init__(self, code):
        super().__init__()
        self.lin1 = nn.Linear(code, 40)
        self.lin2 = nn.Linear(40, 64)

    def forward(self, z):
        return torch.sigmoid(self.lin2(F.relu(self.lin1(z))))


def load():
    pixels = load_digits().data.astype(np.float32) / 16
    np.random.shuffle(pixels)
    pixels = torch.from_numpy(pixels)
    return pixels[:1500], pixels[1500:]


train_x, valid_x = load()
enc, dec = Encoder(12), Decoder(12)
params = [*enc.parameters(), *dec.parameters()]
optimizer = torch.optim.Adam(params, lr=2e-3)

history = {"train": [], "valid": []}
best = np.inf
for epoch in range(N_EPOCHS):
    losses = []
    for chunk in train_x[torch.randperm(len(train_x))].split(BATCH):
        noisy = (chunk + NOISE * torch.randn_like(chunk)).clamp(0, 1)
        restored = dec(enc(noisy))
        loss = F.mse_loss(restored, chunk)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss)

    with torch.no_grad():
        noisy = (valid_x + NOISE * torch.randn_like(valid_x)).clamp(0, 1)
        valid_loss = F.mse_loss(dec(enc(noisy)), valid_x).item()

    history["train"].append(np.mean(losses))
    history["valid"].append(valid_loss)
    if valid_loss < best:
        best = valid_loss
        mark = " *"
    else:
        mark = ""
    print(f"epoch {epoch:02d} train {history['train'][-1]:.5f} valid {valid_loss:.5f}{mark}")

print("best", round(best, 5))
