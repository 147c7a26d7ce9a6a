import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ACCUMULATE = 4
EPOCHS = 2


def get_loader():
    torch.manual_seed(5)
    x = torch.randn(88, 10)
    weights = torch.randn(10, 1)
    return DataLoader(TensorDataset(x, x @ weights), batch_size=8, shuffle=True)


class Regressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(10, 32), nn.GELU(), nn.LayerNorm(32), nn.Linear(32, 1))

    def forward(self, x):
        return self.layers(x)


def run():
    loader = get_loader()
    model = Regressor()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    loss_fn = nn.MSELoss()
    epoch_loss = 0.0
    for epoch in range(EPOCHS):
        epoch_loss = 0.0
        for i, (x, y) in enumerate(loader):
            loss = loss_fn(model(x), y)
            (loss / ACCUMULATE).backward()
            epoch_loss += loss.item()
            if (i + 1) % ACCUMULATE == 0:
                optimizer.step()
        if len(loader) % ACCUMULATE != 0:  # the batches that are left over
            optimizer.step()
        print(f"epoch {epoch}: {epoch_loss / len(loader):.4f}")
    return epoch_loss


if __name__ == "__main__":
    run()
