import io
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn


def epoch_of(model, optimizer, rows, wanted):
    for part in torch.randperm(len(rows)).split(16):
        loss = nn.functional.l1_loss(model(rows[part]), wanted[part])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()


def main():
    torch.manual_seed(1)
    rows = torch.rand(128, 5)
    wanted = rows.prod(dim=1, keepdim=True) + 0.2 * torch.randn(128, 1)
    model = nn.Sequential(nn.Linear(5, 16), nn.Sigmoid(), nn.Linear(16, 1))
    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.1)
    history = io.BytesIO()
    with TemporaryDirectory() as folder:
        best, lowest = Path(folder, "best.pt"), float("inf")
        for epoch in range(8):
            epoch_of(model, optimizer, rows[:96], wanted[:96])
            state = model.state_dict()
            torch.save({"epoch": epoch, "model": state}, history)
            with torch.no_grad():
                error = nn.functional.l1_loss(model(rows[96:]), wanted[96:]).item()
            if error < lowest:
                lowest = error
                torch.save(state, best)
        model.load_state_dict(torch.load(best, weights_only=True))
        final = nn.Sequential(nn.Linear(5, 16), nn.Sigmoid(), nn.Linear(16, 1))
        final.load_state_dict(state)
    print(lowest, history.tell())


main()
