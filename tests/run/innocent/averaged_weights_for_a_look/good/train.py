"""An exponential average of the weights is looked at after each epoch, then the training goes on from its own."""

import copy

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Average:
    def __init__(self, model, decay):
        self.decay = decay
        self.shadow = {k: v.detach().clone() for k, v in model.state_dict().items()}

    def update(self, model):
        for name, value in model.state_dict().items():
            if value.dtype.is_floating_point:
                self.shadow[name].lerp_(value, 1 - self.decay)
            else:
                self.shadow[name].copy_(value)


def main():
    torch.manual_seed(5)
    inputs = torch.randn(160, 6)
    targets = torch.sin(inputs[:, :1]) + 0.1 * torch.randn(160, 1)
    loader = DataLoader(TensorDataset(inputs[:128], targets[:128]), batch_size=16, shuffle=True)
    model = nn.Sequential(nn.Linear(6, 32), nn.BatchNorm1d(32), nn.GELU(), nn.Linear(32, 1))
    optimizer = torch.optim.RMSprop(model.parameters(), lr=2e-3)
    average = Average(model, 0.9)
    for epoch in range(5):
        model.train()
        for batch, wanted in loader:
            loss = nn.functional.mse_loss(model(batch), wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            average.update(model)
        own = copy.deepcopy(model.state_dict())
        model.load_state_dict(average.shadow)
        model.eval()
        with torch.no_grad():
            print(epoch, nn.functional.mse_loss(model(inputs[128:]), targets[128:]).item())
        model.load_state_dict(own)
    now = model.state_dict()
    model.load_state_dict(now)


main()
