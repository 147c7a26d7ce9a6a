import torch
import torch.nn as nn
import torch.nn.functional as F


class Encoder(nn.Module):
    def __init__(self, pixels, classes, latent):
        super().__init__()
        self.body = nn.Linear(pixels + classes, 40)
        self.mean = nn.Linear(40, latent)
        self.log_var = nn.Linear(40, latent)

    def forward(self, x, condition):
        h = F.relu(self.body(torch.cat([x, condition], dim=1)))
        return self.mean(h), self.log_var(h)


class Decoder(nn.Module):
    def __init__(self, pixels, classes, latent):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(latent + classes, 40), nn.ReLU(), nn.Linear(40, pixels))

    def forward(self, z, condition):
        return self.net(torch.cat([z, condition], dim=1))


class ConditionalVAE(nn.Module):
    def __init__(self, pixels=64, classes=10, latent=4):
        super().__init__()
        self.classes = classes
        self.latent = latent
        self.encoder = Encoder(pixels, classes, latent)
        self.decoder = Decoder(pixels, classes, latent)

    def condition(self, digits):
        return F.one_hot(digits, self.classes).float()

    def forward(self, x, digits):
        condition = self.condition(digits)
        mean, log_var = self.encoder(x, condition)
        z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
        return self.decoder(z, condition), mean, log_var

    @torch.no_grad()
    def draw(self, digit):
        z = torch.zeros(1, self.latent)
        logits = self.decoder(z, self.condition(torch.tensor([digit])))
        return torch.sigmoid(logits).view(8, 8)
