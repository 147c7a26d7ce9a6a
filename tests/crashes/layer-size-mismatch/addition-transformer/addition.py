import random

import torch
import torch.nn as nn
import torch.nn.functional as F

# A tiny causal transformer that learns to write the digits of a sum.
random.seed(77)
torch.manual_seed(77)

SYMBOLS = "0123456789+="
CODE = {s: k for k, s in enumerate(SYMBOLS)}
LENGTH = 9  # "07+15=022"
WIDTH = 48
HEADS = 4


def sums(how_many):
    rows = []
    for _ in range(how_many):
        a, b = random.randrange(100), random.randrange(100)
        rows.append([CODE[s] for s in "%02d+%02d=%03d" % (a, b, a + b)])
    sheet = torch.tensor(rows)
    return sheet[:, :-1], sheet[:, 1:]


class CausalMix(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.attend = nn.MultiheadAttention(width, heads, batch_first=True)
        hide = torch.ones(LENGTH, LENGTH, dtype=torch.bool).triu(1)
        self.register_buffer("hide", hide)

    def forward(self, x):
        n = x.size(1)
        mixed, _ = self.attend(x, x, x, attn_mask=self.hide[:n, :n], need_weights=False)
        return mixed


class Layer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.mix_norm = nn.LayerNorm(width)
        self.mix = CausalMix(width, heads)
        self.think_norm = nn.LayerNorm(width)
        self.think = nn.Sequential(
            nn.Linear(width, 3 * width), nn.SiLU(), nn.Linear(3 * width, width)
        )

    def forward(self, x):
        x = x + self.mix(self.mix_norm(x))
        return x + self.think(self.think_norm(x))


class Adder(nn.Module):
    def __init__(self, depth=2):
        super().__init__()
        self.symbol = nn.Embedding(len(SYMBOLS), WIDTH)
        self.place = nn.Parameter(0.02 * torch.randn(LENGTH, WIDTH))
        self.layers = nn.ModuleList(Layer(WIDTH, HEADS) for _ in range(depth))
        self.last_norm = nn.LayerNorm(64)
        self.read_out = nn.Linear(WIDTH, len(SYMBOLS))

    def forward(self, sheet):
        x = self.symbol(sheet) + self.place[: sheet.size(1)]
        for layer in self.layers:
            x = layer(x)
        return self.read_out(self.last_norm(x))


def answer_loss(model, given, wanted):
    # only the three digits after "=" can be known
    guess = model(given)[:, -3:]
    return F.cross_entropy(guess.flatten(0, 1), wanted[:, -3:].flatten())


model = Adder()
optimizer = torch.optim.NAdam(model.parameters(), lr=2e-3)
held_given, held_wanted = sums(64)

for step in range(1, 25):
    given, wanted = sums(32)
    loss = answer_loss(model, given, wanted)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 8 == 0:
        model.eval()
        with torch.no_grad():
            held = answer_loss(model, held_given, held_wanted)
        model.train()
        print(f"{step:3d} steps: loss {loss.item():.3f}, held-out {held.item():.3f}")
