from torch import nn

from textures.nets.base import TextureNet


class DeepTextureNet(TextureNet):
    feature_dim = 32 * 6 * 6
    dropout = 0.2

    def build_backbone(self) -> nn.Module:
        stem = nn.Sequential(nn.Conv2d(3, 16, 5, stride=2, padding=2), nn.ReLU())
        body = nn.Sequential(
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3, stride=2, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
        )
        return nn.Sequential(stem, body)
