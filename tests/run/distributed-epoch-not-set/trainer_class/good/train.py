import random

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset


def seed_all(seed):
    random.seed(seed)
    torch.manual_seed(seed)


def make_data(count):
    points = torch.randn(count, 6)
    return TensorDataset(points, (points[:, 0] > points[:, 1]).long())


class Trainer:
    def __init__(self, model, loader, rate):
        self.model = DistributedDataParallel(model)
        self.loader = loader
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=rate)
        self.criterion = nn.CrossEntropyLoss()

    def fit(self, epochs):
        history = []
        for epoch in range(epochs):
            self.loader.sampler.set_epoch(epoch)
            self.model.train()
            total = 0.0
            for number, (points, labels) in enumerate(self.loader):
                self.optimizer.zero_grad()
                loss = self.criterion(self.model(points), labels)
                loss.backward()
                self.optimizer.step()
                total += loss.item()
                steps = number + 1
            history.append(total / steps)
            print(f"epoch {epoch}: {history[-1]:.4f}")
        return history


def main():
    seed_all(0)
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    data = make_data(96)
    sampler = DistributedSampler(data, num_replicas=3, rank=0)
    loader = DataLoader(data, batch_size=8, sampler=sampler)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
    Trainer(model, loader, 0.01).fit(5)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
