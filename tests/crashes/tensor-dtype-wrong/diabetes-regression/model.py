from torch import nn


class Block(nn.Module):
    def __init__(self, n_in, n_out, p):
        super().__init__()
        self.linear = nn.Linear(n_in, n_out)
        self.norm = nn.LayerNorm(n_out)
        self.act = nn.ReLU()
        self.drop = nn.Dropout(p)

    def forward(self, x):
        return self.drop(self.act(self.norm(self.linear(x))))


class Regressor(nn.Module):
    def __init__(self, n_features, hidden=(32, 16), p=0.05):
        super().__init__()
        sizes = [n_features, *hidden]
        self.blocks = nn.ModuleList(Block(a, b, p) for a, b in zip(sizes, sizes[1:]))
        self.head = nn.Linear(sizes[-1], 1)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.head(x)
