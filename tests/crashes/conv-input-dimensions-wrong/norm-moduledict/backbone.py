from torch import nn

ACTIVATIONS = nn.ModuleDict({"relu": nn.ReLU(), "gelu": nn.GELU(), "tanh": nn.Tanh()})


class Stage(nn.Module):
    def __init__(self, n_in, n_out, activation):
        super().__init__()
        self.parts = nn.ModuleDict(
            {
                "conv": nn.Conv2d(n_in, n_out, 3, padding=1, bias=False),
                "norm": nn.BatchNorm1d(n_out),
                "act": ACTIVATIONS[activation],
            }
        )
        self.skip = nn.Identity() if n_in == n_out else nn.Conv2d(n_in, n_out, 1)

    def forward(self, x):
        h = x
        for name in ("conv", "norm", "act"):
            h = self.parts[name](h)
        return h + self.skip(x)


class Projection(nn.Module):
    """Features as one normalised vector."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.fc = nn.Linear(n_in, n_out)
        self.norm = nn.BatchNorm1d(n_out, affine=False)

    def forward(self, features):
        return self.norm(self.fc(features.mean(dim=(2, 3))))
