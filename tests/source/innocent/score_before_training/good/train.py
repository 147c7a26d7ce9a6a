import torch
from torch import nn


def build():
    return nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 1))


def main():
    torch.manual_seed(0)
    x = torch.randn(200, 8)
    y = (x[:, :3].sum(dim=1, keepdim=True) > 0).float()
    model = build()
    with torch.no_grad():
        guess = (model(x) > 0).float()
        print("before", (guess == y).float().mean().item())
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    criterion = nn.BCEWithLogitsLoss()
    for step in range(40):
        model.train()
        optimizer.zero_grad()
        scores = model(x[:150])
        loss = criterion(scores, y[:150])
        loss.backward()
        optimizer.step()
        if step % 10 == 9:
            with torch.no_grad():
                right = ((scores > 0) == (y[:150] > 0)).float().mean().item()
            print(step, loss.item(), right)
    model.eval()
    with torch.no_grad():
        print("after", ((model(x[150:]) > 0) == (y[150:] > 0)).float().mean().item())


main()
