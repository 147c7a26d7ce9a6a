import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


def write_scans(folder: Path, count: int) -> None:
    """One file for each scan: 20 x 20 numbers; the healthy ones have a darker middle."""
    generator = np.random.default_rng(0)
    for n in range(count):
        scan = generator.normal(size=(20, 20)).astype(np.float32)
        label = n % 2
        scan[8:12, 8:12] += label
        np.save(folder / f"scan{n:03d}_{label}.npy", scan)


class ScanFolder(Dataset):
    def __init__(self, folder: Path, transform=None):
        self.paths = sorted(folder.glob("scan*.npy"))
        self.labels = [int(path.stem[-1]) for path in self.paths]
        self.transform = transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, idx: int):
        scan = torch.from_numpy(np.load(self.paths[idx]))
        if self.transform is not None:
            scan = self.transform(scan)
        return scan[None], self.labels[idx]


class Detector(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 12, 3),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d(2),
        )
        self.classifier = nn.Linear(12 * 2 * 2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.features(x)
        return self.classifier(maps.reshape(maps.shape[0], -1))


def normalise(scan: torch.Tensor) -> torch.Tensor:
    return (scan - scan.mean()) / scan.std()


def main() -> None:
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_scans(folder, 40)
        loader = DataLoader(ScanFolder(folder, normalise), batch_size=8, shuffle=True)
        model = Detector()
        optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
        for epoch in range(2):
            seen = 0
            for scans, labels in loader:
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(model(scans), labels)
                loss.backward()
                optimizer.step()
                seen += len(labels)
            print(f"epoch {epoch}: {seen} scans, last loss {loss.item():.3f}")


if __name__ == "__main__":
    main()
