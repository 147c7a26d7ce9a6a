import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Meter:
    def __init__(self):
        self.sum = 0.0
        self.n = 0

    def update(self, value, n):
        self.sum = self.sum + value * n
        self.n += n


class Meters:
    def __init__(self):
        self.loss = Meter()


class Trainer:
    def __init__(self, model, lr):
        self.model = model
        self.optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
        self.meters = Meters()

    def run_epoch(self, loader):
        self.model.train()
        for x, target in loader:
            self.optimizer.zero_grad(set_to_none=True)
            loss = nn.functional.smooth_l1_loss(self.model(x).squeeze(1), target)
            loss.backward()
            self.optimizer.step()
            self.meters.loss.update(loss.item(), len(x))


def main():
    torch.manual_seed(5)
    x = torch.randn(96, 5)
    data = TensorDataset(x, x @ torch.arange(5.0))
    trainer = Trainer(nn.Sequential(nn.Linear(5, 10), nn.ReLU(), nn.Linear(10, 1)), 0.01)
    for epoch in range(3):
        trainer.run_epoch(DataLoader(data, batch_size=16, shuffle=True))
        print(epoch, float(trainer.meters.loss.sum) / trainer.meters.loss.n)


main()
