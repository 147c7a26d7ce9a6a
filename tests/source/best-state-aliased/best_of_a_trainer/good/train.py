"""A regression of a sine. The trainer keeps what did best on the second half, and ends with it."""

import copy

import torch
from torch import nn


class Trainer:
    def __init__(self, model, rate):
        self.model = model
        self.optimizer = torch.optim.Adam(model.parameters(), lr=rate)
        self.criterion = nn.MSELoss()
        self.best_error = float("inf")
        self.best_state = None
        self.first = copy.copy(rate)

    def fit(self, inputs, targets, epochs, patience=20):
        waited = 0
        for epoch in range(epochs):
            self._train(inputs[::2], targets[::2])
            error = self._error(inputs[1::2], targets[1::2])
            if error < self.best_error:
                self.best_error, waited = error, 0
                self.best_state = copy.deepcopy(self.model.state_dict())
            else:
                waited += 1
            if waited == patience:
                break
        self.model.load_state_dict(self.best_state)
        return self._error(inputs[1::2], targets[1::2])

    def _train(self, inputs, targets):
        self.model.train()
        loss = self.criterion(self.model(inputs), targets)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    @torch.no_grad()
    def _error(self, inputs, targets):
        self.model.eval()
        return self.criterion(self.model(inputs), targets).item()


def main():
    torch.manual_seed(5)
    inputs = torch.linspace(-3, 3, 40).unsqueeze(1)
    targets = inputs.sin() + 0.3 * torch.randn_like(inputs)
    model = nn.Sequential(nn.Linear(1, 64), nn.Tanh(), nn.Linear(64, 1))
    trainer = Trainer(model, rate=0.05)
    print(f"{trainer.fit(inputs, targets, epochs=60):.4f} {trainer.best_error:.4f}")


if __name__ == "__main__":
    main()
