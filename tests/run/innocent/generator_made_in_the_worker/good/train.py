import random

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, get_worker_info


class Rotated(Dataset):
    def __init__(self, images, kinds, seed=4):
        self.images, self.kinds, self.seed = images, kinds, seed
        self.rng = random.Random(seed)
        self.owner = -1

    def __len__(self):
        return len(self.images)

    def _own(self):
        info = get_worker_info()
        number = info.id if info is not None else -1
        if number != self.owner:
            self.owner = number
            self.rng = random.Random(info.seed)
        return self.rng

    def __getitem__(self, index):
        turns = self._own().randrange(4)
        return torch.rot90(self.images[index], turns, (1, 2)), self.kinds[index]


def build():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))


def main():
    torch.manual_seed(0)
    random.seed(0)
    kinds = torch.randint(3, (48,))
    images = torch.randn(48, 1, 8, 8) + kinds.view(-1, 1, 1, 1)
    loader = DataLoader(Rotated(images, kinds), batch_size=12, shuffle=True, num_workers=2)
    model = build()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for epoch in range(2):
        for batch, wanted in loader:
            loss = nn.functional.cross_entropy(model(batch), wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(epoch, loss.item())


if __name__ == "__main__":
    main()
