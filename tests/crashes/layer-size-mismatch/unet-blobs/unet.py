import torch
import torch.nn as nn


def double_conv(cin, cout):
    return nn.Sequential(
        nn.Conv2d(cin, cout, 3, 1, 1), nn.BatchNorm2d(cout), nn.ReLU(True),
        nn.Conv2d(cout, cout, 3, 1, 1), nn.BatchNorm2d(cout), nn.ReLU(True),
    )


class UNet(nn.Module):
    def __init__(self, n_channels=1, n_masks=1, base=8):
        super(UNet, self).__init__()
        self.enc1 = double_conv(n_channels, base)
        self.enc2 = double_conv(base, base * 2)
        self.bottom = double_conv(base * 2, base * 4)
        self.down = nn.MaxPool2d(2)

        self.up2 = nn.ConvTranspose2d(base * 4, base * 2, 2, stride=2)
        self.dec2 = double_conv(base * 4, base * 2)
        self.up1 = nn.ConvTranspose2d(base * 2, base, 2, stride=2)
        self.dec1 = double_conv(base, base)
        self.out = nn.Conv2d(base, n_masks, 1)

    def encode(self, x):
        s1 = self.enc1(x)
        s2 = self.enc2(self.down(s1))
        return s1, s2, self.bottom(self.down(s2))

    def decode(self, s1, s2, z):
        z = self.dec2(torch.cat([self.up2(z), s2], dim=1))
        z = self.dec1(torch.cat([self.up1(z), s1], dim=1))
        return self.out(z)

    def forward(self, x):
        return self.decode(*self.encode(x))
