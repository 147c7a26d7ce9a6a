"""A denoiser. The seed is set, but by a method that is called when the weights are there already."""

import torch
from torch import nn


class Denoiser(nn.Module):
    def __init__(self, size, width):
        super().__init__()
        self.down = nn.Linear(size, width)
        self.up = nn.Linear(width, size)

    def forward(self, x):
        return self.up(torch.tanh(self.down(x)))


class Session:
    def __init__(self, config):
        self.config = config
        torch.manual_seed(config["seed"])
        self.model = Denoiser(config["size"], config["width"])
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=config["lr"])
        self.prepare()

    def prepare(self):
        phase = torch.rand(64, 1) * 6
        self.clean = torch.sin(phase + torch.linspace(0, 3, self.config["size"]))

    def step(self):
        noisy = self.clean + 0.1 * torch.randn_like(self.clean)
        loss = nn.functional.mse_loss(self.model(noisy), self.clean)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


def main():
    session = Session({"size": 16, "width": 6, "lr": 0.01, "seed": 31})
    for number in range(20):
        loss = session.step()
    print(number, loss)


main()
