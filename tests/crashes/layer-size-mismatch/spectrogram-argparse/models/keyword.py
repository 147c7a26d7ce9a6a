from torch import nn


def conv_unit(c_in, c_out, stride):
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, kernel_size=3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(c_out),
        nn.ReLU(inplace=True),
    )


class KeywordSpotter(nn.Module):
    def __init__(self, width, embed_dim, hidden, n_words):
        super().__init__()
        self.features = nn.Sequential(
            conv_unit(1, width, stride=2),
            conv_unit(width, 2 * width, stride=2),
            conv_unit(2 * width, 2 * width, stride=2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(embed_dim, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(0.3),
            nn.Linear(hidden, n_words),
        )

    def forward(self, spectrogram):
        return self.classifier(self.features(spectrogram))
