"""A controller is trained through a machine that is given: gradients come through it, and it never changes."""

import torch
from torch import nn


class Controller(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 24), nn.Tanh(), nn.Linear(24, 2))

    def forward(self, state, wanted):
        return self.net(torch.cat([state, wanted], dim=1))


def train(rounds):
    plant = nn.Linear(5, 3)
    controller = Controller()
    optimizer = torch.optim.Adam(controller.parameters(), lr=0.01)
    for round in range(rounds):
        state, wanted = torch.randn(32, 3), torch.zeros(32, 3)
        action = controller(state, wanted)
        after = plant(torch.cat([state, action], dim=1))
        loss = (after - wanted).pow(2).mean() + 0.01 * action.pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if round % 20 == 0:
            print(round, loss.item())


torch.manual_seed(0)
train(60)
