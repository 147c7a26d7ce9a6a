import torch
from torch.utils.data import ConcatDataset, DataLoader, Dataset

KINDS = ("stripes", "dots", "checks", "noise")


class Kind(Dataset):
    """Small pictures of one texture, as a folder of that name would hold them."""

    def __init__(self, label, count, source):
        self.label = label
        grid = torch.arange(8)
        pattern = {
            0: (grid[:, None] % 2).expand(8, 8),
            1: ((grid[:, None] % 3 == 0) & (grid % 3 == 0)),
            2: (grid[:, None] + grid) % 2,
            3: torch.zeros(8, 8),
        }[label].float()
        self.pictures = pattern + 0.3 * torch.randn(count, 1, 8, 8, generator=source)

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, index):
        return {"picture": self.pictures[index], "label": self.label}


def training_loader(count, batch_size):
    source = torch.Generator().manual_seed(7)
    kinds = [Kind(label, count, source) for label in range(len(KINDS))]
    return DataLoader(
        ConcatDataset(kinds),
        batch_size=batch_size,
        shuffle=True,
        drop_last=True,
    )
