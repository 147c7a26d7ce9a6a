import os
import tempfile

import torch
from torch import nn

from helpers.draw import curves_to_svg
from helpers.series import tides, windows

PAST, FUTURE = 48, 12


class Forecaster(nn.Module):
    def __init__(self, hidden=20):
        super().__init__()
        self.cell = nn.GRUCell(1, hidden)
        self.out = nn.Linear(hidden, 1)

    def forward(self, past, steps):
        state = past.new_zeros(past.size(0), self.cell.hidden_size)
        for value in past.unbind(dim=1):
            state = self.cell(value[:, None], state)
        value, answer = past[:, -1:], []
        for _ in range(steps):
            value = value + self.out(state)
            answer.append(value)
            state = self.cell(value, state)
        return torch.cat(answer, dim=1)


def batches(past, future, size):
    order = torch.randperm(len(past))
    for some in order.split(size):
        yield past[some], future[some]


def show(model, past, future, folder, epoch):
    model.eval()
    forecast = model(past[:1], FUTURE)
    curves = {"truth": future[:1], "forecast": forecast}
    return curves_to_svg(curves, os.path.join(folder, f"epoch-{epoch}.svg"))


def main():
    torch.manual_seed(52)
    past, future = map(torch.from_numpy, windows(tides(40, seed=3), PAST, FUTURE))
    cut = len(past) - 100
    model = Forecaster()
    optimizer = torch.optim.Adam(model.parameters(), lr=8e-3)
    with tempfile.TemporaryDirectory() as folder:
        for epoch in range(2):
            model.train()
            for x, y in batches(past[:cut], future[:cut], 64):
                loss = nn.functional.mse_loss(model(x, FUTURE), y)
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_value_(model.parameters(), 0.5)
                optimizer.step()
            picture = show(model, past[cut:], future[cut:], folder, epoch)
            print(f"epoch {epoch}: {loss.item():.4f}, {os.path.getsize(picture)} bytes drawn")


if __name__ == "__main__":
    main()
