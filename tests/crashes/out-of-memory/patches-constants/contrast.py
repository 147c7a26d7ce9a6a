"""Embeds picture patches so that a patch and its noisy copy stay together."""
import torch
import torch.nn.functional as F
from torch import nn

from patches import PatchStore
from settings import BATCH_SIZE, LEARNING_RATE, PATCH, STEPS, TEMPERATURE


class PatchEncoder(nn.Module):
    def __init__(self, pixels, width=48, out=8):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(pixels, width), nn.LayerNorm(width), nn.SiLU(), nn.Linear(width, out)
        )

    def forward(self, patches):
        return F.normalize(self.layers(patches), dim=-1)


def contrast(one, other):
    likeness = one @ other.T
    target = torch.arange(len(one))
    return F.cross_entropy(likeness / TEMPERATURE, target)


def train_step(encoder, optimizer, store):
    patches = store.draw(BATCH_SIZE)
    noisy = patches + 0.05 * torch.randn_like(patches)
    loss = contrast(encoder(patches), encoder(noisy))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def main():
    torch.manual_seed(23)
    store = PatchStore(seed=23)
    print(f"{len(store):,} patches")
    encoder = PatchEncoder(PATCH**2)
    optimizer = torch.optim.Adam(encoder.parameters(), lr=LEARNING_RATE)
    for step in range(STEPS):
        print(f"step {step}: {train_step(encoder, optimizer, store):.3f}")


if __name__ == "__main__":
    main()
