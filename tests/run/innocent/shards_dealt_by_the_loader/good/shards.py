import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info


class Shards(IterableDataset):
    """Yields the rows of its shards; `worker_init_fn` leaves it some of them."""

    def __init__(self, shards):
        self.shards = shards

    def __iter__(self):
        for shard in self.shards:
            for row in shard:
                yield row[:-1], row[-1:]


def deal(number):
    info = get_worker_info()
    info.dataset.shards = info.dataset.shards[number :: info.num_workers]


def main():
    torch.manual_seed(3)
    source = torch.Generator().manual_seed(8)
    shards = [torch.rand(20, 4, generator=source) for _ in range(6)]
    loader = DataLoader(Shards(shards), batch_size=10, num_workers=2, worker_init_fn=deal)
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        rows = 0
        for inputs, targets in loader:
            loss = nn.functional.mse_loss(model(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rows += len(inputs)
        print(rows, loss.item())


if __name__ == "__main__":
    main()
