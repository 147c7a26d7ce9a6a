import time

import torch
from torch import nn
from torch.utils.data import DataLoader

from storage import NoisyDigits


def conv_block(channels_in, channels_out):
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.LeakyReLU(0.1),
    )


class Denoiser(nn.Module):
    def __init__(self, width=8, depth=2):
        super().__init__()
        self.first = conv_block(1, width)
        self.blocks = nn.ModuleList(conv_block(width, width) for _ in range(depth))
        self.last = nn.Conv2d(width, 1, kernel_size=1)

    def forward(self, image):
        h = self.first(image)
        for block in self.blocks:
            h = h + block(h)
        return image + self.last(h)


def main():
    torch.manual_seed(0)
    loader = DataLoader(
        NoisyDigits(), batch_size=64, num_workers=2, persistent_workers=True, drop_last=False
    )
    model = Denoiser()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    criterion = nn.L1Loss()
    for epoch in range(2):
        start = time.perf_counter()
        model.train()
        for step, (dirty, clean) in enumerate(loader):
            loss = criterion(model(dirty), clean)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step % 5 == 0:
                print(f"epoch {epoch} step {step} loss {loss.item():.4f}")
        print(f"epoch {epoch} took {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
