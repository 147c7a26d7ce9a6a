from torch import nn


class PlateReader(nn.Module):
    def __init__(self, in_channels, channels, kernel, n_symbols):
        super().__init__()
        self.convs = nn.ModuleList()
        previous = in_channels
        for current in channels:
            self.convs.append(nn.Conv2d(previous, current, kernel, padding=kernel // 2))
            previous = current
        self.act = nn.PReLU()
        self.down = nn.MaxPool2d(2)
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(previous * 9, n_symbols)
        )

    def forward(self, x):
        for conv in self.convs:
            x = self.down(self.act(conv(x)))
        return self.head(x)
