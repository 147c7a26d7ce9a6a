from torch import nn

from textures.nets.base import TextureNet


class PlainTextureNet(TextureNet):
    feature_dim = 16 * 6 * 6

    def build_backbone(self) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(3, 16, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(4),
        )
