"""Seeds torch through its generator object, as code does that passes generators around."""

import torch
from torch import nn


class Randomness:
    def __init__(self, seed):
        self.seed = seed
        torch.default_generator.manual_seed(seed)

    def batches(self, count, size):
        for _ in range(count):
            yield torch.randint(count, (size,), generator=torch.default_generator)


def main():
    randomness = Randomness(7)
    inputs = torch.randn(40, 3)
    targets = inputs.prod(dim=1, keepdim=True)
    model = nn.Sequential(nn.Linear(3, 12), nn.Tanh(), nn.Linear(12, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for chosen in randomness.batches(40, 10):
        loss = nn.functional.mse_loss(model(inputs[chosen]), targets[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(randomness.seed, loss.item())


if __name__ == "__main__":
    main()
