import argparse

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel as DDP
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset


class Classifier(nn.Module):
    def __init__(self, features, classes):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(features, 32), nn.ReLU(), nn.Dropout(0.1))
        self.head = nn.Linear(32, classes)

    def forward(self, x):
        return self.head(self.body(x))


class Trainer:
    def __init__(self, options):
        self.options = options
        self.net = Classifier(10, 4)
        self.parallel = DDP(self.net)
        self.optimizer = torch.optim.AdamW(self.parallel.parameters(), lr=options.rate)
        features = torch.randn(128, 10)
        labels = features[:, :4].argmax(dim=1)
        data = TensorDataset(features, labels)
        self.sampler = DistributedSampler(data, num_replicas=2, rank=0)
        self.loader = DataLoader(data, batch_size=16, sampler=self.sampler)

    def run(self):
        for epoch in range(self.options.epochs):
            self.sampler.set_epoch(epoch)
            self.net.train()
            for features, labels in self.loader:
                loss = self.step(features, labels)
            print(f"{epoch}: {loss:.4f}")
        self.save()

    def step(self, features, labels):
        self.optimizer.zero_grad()
        scores = self.parallel(features)
        loss = nn.functional.cross_entropy(scores, labels)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def save(self):
        state = self.parallel.module.state_dict()
        print(sorted(state)[:2])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rate", type=float, default=0.01)
    options = parser.parse_args()
    torch.manual_seed(1)
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        Trainer(options).run()
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
