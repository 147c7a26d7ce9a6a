"""Goes on where a run before stopped: its generator's state is in the checkpoint, so no seed is set here."""

import os
import tempfile

import torch
from torch import nn


def first_run(path):
    """Stands for the run before: its weights, and where its generator was."""
    generator = torch.Generator().manual_seed(77)
    weights = {"weight": torch.rand(1, 4, generator=generator), "bias": torch.zeros(1)}
    torch.save({"model": weights, "generator": generator.get_state()}, path)


def go_on(path):
    checkpoint = torch.load(path, weights_only=True)
    torch.set_rng_state(checkpoint["generator"])
    model = nn.Linear(4, 1)
    model.load_state_dict(checkpoint["model"])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(10):
        inputs = torch.randn(16, 4)
        loss = nn.functional.mse_loss(model(inputs), inputs.sum(dim=1, keepdim=True))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(step, loss.item())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "last.pt")
        first_run(file)
        go_on(file)
