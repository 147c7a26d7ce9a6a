import torch
from torch import nn


class Regressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(3, 20)
        self.drop = nn.Dropout(0.1)
        self.out = nn.Linear(20, 1)

    def forward(self, x):
        return self.out(self.drop(torch.relu(self.hidden(x))))


def main():
    model = Regressor()
    criterion = nn.MSELoss()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)

    torch.manual_seed(21)
    x = torch.randn(128, 3)
    y = x.sum(dim=1, keepdim=True)
    for epoch in range(10):
        model.train()
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        print(epoch, loss.item())


if __name__ == "__main__":
    main()
