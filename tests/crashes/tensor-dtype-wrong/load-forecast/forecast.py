import torch
from torch import nn
from torch.utils.data import DataLoader

from series import ForecastDataset, hourly_load
from trainer import BaseTrainer


class ForecastTrainer(BaseTrainer):
    criterion = nn.HuberLoss(delta=0.5)

    def compute_loss(self, batch):
        past, future = batch
        predicted = self.model(past)
        return self.criterion(predicted, future.unsqueeze(-1))


def main():
    torch.manual_seed(12)
    load = hourly_load(days=40, seed=12)
    border = int(len(load) * 0.75)
    train = ForecastDataset(load[:border], history=48, ahead=6)
    valid = ForecastDataset(load[border:], history=48, ahead=6)
    model = nn.Sequential(
        nn.Linear(48, 32),
        nn.Tanh(),
        nn.Linear(32, 1),
    )
    trainer = ForecastTrainer(model, torch.optim.Adam(model.parameters(), lr=2e-3), max_epochs=3)
    trainer.fit(
        DataLoader(train, batch_size=32, shuffle=True),
        DataLoader(valid, batch_size=128),
    )


if __name__ == "__main__":
    main()
