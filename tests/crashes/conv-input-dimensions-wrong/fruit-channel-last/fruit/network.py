from torch import nn


class ConvUnit(nn.Sequential):
    def __init__(self, c_in, c_out, stride):
        super().__init__(
            nn.Conv2d(c_in, c_out, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(c_out),
            nn.ReLU(),
        )


class RipenessNet(nn.Module):
    def __init__(self, width=8, n_levels=3):
        super().__init__()
        self.stem = ConvUnit(3, width, 1)
        self.stages = nn.Sequential(ConvUnit(width, 2 * width, 2), ConvUnit(2 * width, 32, 2))
        self.pool = nn.AdaptiveMaxPool2d(1)
        self.head = nn.Linear(32, n_levels)

    def forward(self, pictures):
        features = self.pool(self.stages(self.stem(pictures)))
        return self.head(features.flatten(start_dim=1))
