import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset


class Ramp(Dataset):
    def __init__(self, count):
        self.values = torch.linspace(0, 1, count).unsqueeze(1)

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        return self.values[index], self.values[index].sqrt()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=120, help="a part is enough to see that it runs")
    args = parser.parse_args()
    torch.manual_seed(0)
    data = Subset(Ramp(1000), range(args.samples))
    loader = DataLoader(data, batch_size=20, shuffle=True)
    model = nn.Sequential(nn.Linear(1, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        for x, y in loader:
            loss = nn.functional.mse_loss(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    print(loss.item())


if __name__ == "__main__":
    main()
