from torch import nn


class SoundEncoder(nn.Module):
    def __init__(self, channels=(8, 16, 32)):
        super().__init__()
        blocks, previous = [], 1
        for c in channels:
            blocks += [nn.Conv1d(previous, c, 7, stride=2, padding=3), nn.LeakyReLU(0.1)]
            previous = c
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveMaxPool1d(1)
        self.out_features = previous

    def forward(self, sound):
        return self.pool(self.blocks(sound)).squeeze(-1)


class AlarmNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = SoundEncoder()
        self.score = nn.Linear(self.encoder.out_features, 1)

    def forward(self, sound):
        return self.score(self.encoder(sound)).squeeze()
