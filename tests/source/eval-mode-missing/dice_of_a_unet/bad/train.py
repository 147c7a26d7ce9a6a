import logging

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import optim
from torch.utils.data import DataLoader, Dataset, random_split


class Shapes(Dataset):
    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        generator = torch.Generator().manual_seed(i)
        image = torch.rand(1, 16, 16, generator=generator)
        return {"image": image, "mask": (image > 0.5).float()}


class DoubleConv(nn.Module):
    """(convolution => [BN] => ReLU) * 2"""

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, x):
        return self.double_conv(x)


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.inc = DoubleConv(1, 4)
        self.down = DoubleConv(4, 8)
        self.up = nn.ConvTranspose2d(8, 4, kernel_size=2, stride=2)
        self.conv = DoubleConv(8, 4)
        self.outc = nn.Conv2d(4, 1, kernel_size=1)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.down(F.max_pool2d(x1, 2))
        x = torch.cat([x1, self.up(x2)], dim=1)
        return self.outc(self.conv(x))


def dice_coeff(pred, target, eps=1e-6):
    inter = 2 * (pred * target).sum()
    return (inter + eps) / (pred.sum() + target.sum() + eps)


@torch.inference_mode()
def evaluate(net, dataloader):
    dice_score = 0
    for batch in dataloader:
        mask_pred = (torch.sigmoid(net(batch["image"])) > 0.5).float()
        dice_score += dice_coeff(mask_pred, batch["mask"])
    return dice_score / max(len(dataloader), 1)


def train_model(model, epochs=2, batch_size=4, learning_rate=1e-3):
    train_set, val_set = random_split(Shapes(24), [16, 8])
    train_loader = DataLoader(train_set, shuffle=True, batch_size=batch_size)
    val_loader = DataLoader(val_set, shuffle=False, batch_size=batch_size)
    optimizer = optim.RMSprop(model.parameters(), lr=learning_rate, momentum=0.9)
    criterion = nn.BCEWithLogitsLoss()
    global_step = 0
    for epoch in range(1, epochs + 1):
        model.train()
        epoch_loss = 0
        for batch in train_loader:
            masks_pred = model(batch["image"])
            loss = criterion(masks_pred, batch["mask"])
            loss += 1 - dice_coeff(torch.sigmoid(masks_pred), batch["mask"])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            global_step += 1
            epoch_loss += loss.item()
            if global_step % 2 == 0:
                val_score = evaluate(model, val_loader)
                logging.info("Validation Dice score: %s", val_score)
        print(f"epoch {epoch}: {epoch_loss / len(train_loader):.4f}")


if __name__ == "__main__":
    torch.manual_seed(0)
    train_model(UNet())
