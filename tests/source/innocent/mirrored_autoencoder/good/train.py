"""Autoencoder family whose decoders mirror the encoder. Configurable with plain lists."""
import torch
from torch import nn
from torch.nn import functional as F


def block(i, o, down=True):
    conv = nn.Conv2d(i, o, 3, 2, 1) if down else nn.ConvTranspose2d(i, o, 3, 2, 1, 1)
    return nn.Sequential(conv, nn.BatchNorm2d(o), nn.LeakyReLU())


class BetaVAE(nn.Module):
    def __init__(self, in_ch=3, latent=16, hidden=None):
        super().__init__()
        hidden = hidden or [16, 32, 64]
        mods, c = [], in_ch
        for h in hidden:
            mods.append(block(c, h))
            c = h
        self.encoder = nn.Sequential(*mods)
        self.fc_mu = nn.Linear(hidden[-1] * 16, latent)
        self.fc_var = nn.Linear(hidden[-1] * 16, latent)
        self.decoder_input = nn.Linear(latent, hidden[-1] * 16)
        hidden.reverse()
        self.top = hidden[0]
        self.decoder = nn.Sequential(*[block(hidden[i], hidden[i + 1], False) for i in range(len(hidden) - 1)])
        self.final = nn.Sequential(block(hidden[-1], hidden[-1], False), nn.Conv2d(hidden[-1], in_ch, 3, padding=1), nn.Tanh())

    def encode(self, x):
        h = torch.flatten(self.encoder(x), start_dim=1)
        return [self.fc_mu(h), self.fc_var(h)]

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        return mu + torch.randn_like(std) * std

    def decode(self, z):
        z = self.decoder_input(z).view(-1, self.top, 4, 4)
        return self.final(self.decoder(z))

    def forward(self, x):
        mu, lv = self.encode(x)
        return [self.decode(self.reparameterize(mu, lv)), x, mu, lv]

    def loss_function(self, *args, **kw):
        rec, x, mu, lv = args
        r = F.mse_loss(rec, x)
        kld = torch.mean(-0.5 * torch.sum(1 + lv - mu ** 2 - lv.exp(), dim=1), dim=0)
        return {"loss": r + kw["M_N"] * kld, "rec": r.detach(), "kld": -kld.detach()}


class DenseAE(nn.Module):
    def __init__(self, dims=(64, 32, 8), tied=True):
        super().__init__()
        self.enc = nn.ModuleList(nn.Linear(a, b) for a, b in zip(dims[:-1], dims[1:]))
        self.dec_bias = nn.ParameterList(torch.zeros(l.in_features) for l in reversed(self.enc))
        self.tied = tied

    def forward(self, x):
        for l in self.enc:
            x = torch.relu(l(x))
        for l, b in zip(reversed(self.enc), self.dec_bias):
            x = F.linear(x, l.weight.t(), b)
        return x


class DeepAE(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        enc, dec = [], []
        for i, o in zip(sizes, sizes[1:]):
            enc += [nn.Linear(i, o), nn.ELU()]
            dec = [nn.Linear(o, i), nn.ELU()] + dec
        self.enc = nn.Sequential(*enc)
        self.dec = nn.Sequential(*dec[:-1])

    def forward(self, x):
        return self.dec(self.enc(x))


def fit(model, x, steps=4):
    opt = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(steps):
        opt.zero_grad()
        loss = F.mse_loss(model(x), x)
        loss.backward()
        opt.step()
    return loss.item()


if __name__ == "__main__":
    torch.manual_seed(1265)
    vae = BetaVAE()
    opt = torch.optim.Adam(vae.parameters(), lr=5e-3)
    imgs = torch.rand(24, 3, 32, 32) * 2 - 1
    for x in imgs.split(8):
        out = vae.loss_function(*vae(x), M_N=8 / 24)
        opt.zero_grad()
        out["loss"].backward()
        opt.step()
        print({k: round(v.item(), 4) for k, v in out.items()})
    vae.eval()
    with torch.no_grad():
        print(vae.decode(torch.randn(2, 16)).shape)
    print(fit(DenseAE(), torch.rand(16, 64)), fit(DeepAE([64, 48, 20, 6]), torch.rand(16, 64)))
