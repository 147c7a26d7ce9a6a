import argparse

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Cells(Dataset):
    """Grey pictures of round cells, and a mask of 0 and 1 for each."""

    def __init__(self, count, size, seed=0):
        generator = np.random.default_rng(seed)
        self.images = np.zeros((count, size, size), dtype=np.float32)
        self.masks = np.zeros((count, size, size), dtype=np.uint8)
        rows, columns = np.mgrid[0:size, 0:size]
        for image, mask in zip(self.images, self.masks):
            y, x = generator.integers(4, size - 4, 2)
            inside = (rows - y) ** 2 + (columns - x) ** 2 < 12
            mask[inside] = 1
            image[:] = generator.normal(0, 0.1, (size, size)) + inside

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = torch.from_numpy(self.images[index]).unsqueeze(0)
        mask = torch.from_numpy(self.masks[index]).unsqueeze(0)
        return image, mask


def double_conv(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.ReLU(inplace=True),
    )


class UNet(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.down1 = double_conv(1, width)
        self.down2 = double_conv(width, 2 * width)
        self.middle = double_conv(2 * width, 4 * width)
        self.pool = nn.MaxPool2d(2)
        self.up2 = nn.ConvTranspose2d(4 * width, 2 * width, 2, stride=2)
        self.merge2 = double_conv(4 * width, 2 * width)
        self.up1 = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.merge1 = double_conv(2 * width, width)
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, x):
        one = self.down1(x)
        two = self.down2(self.pool(one))
        middle = self.middle(self.pool(two))
        x = self.merge2(torch.cat([self.up2(middle), two], dim=1))
        x = self.merge1(torch.cat([self.up1(x), one], dim=1))
        return self.head(x)


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main():
    args = parse()
    torch.manual_seed(args.seed)
    loader = DataLoader(Cells(24, 32), batch_size=args.batch_size, shuffle=True)
    net = UNet(args.width)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    criterion = nn.BCEWithLogitsLoss()
    for epoch in range(args.epochs):
        net.train()
        epoch_loss = 0.0
        for images, masks in loader:
            optimizer.zero_grad()
            loss = criterion(net(images), masks)
            loss.backward()
            optimizer.step()
            epoch_loss += loss.item()
        print(f"epoch {epoch}: {epoch_loss / len(loader):.4f}")


if __name__ == "__main__":
    main()
