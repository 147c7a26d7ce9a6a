"""Which of two bird species calls: recordings in a folder, one file each."""

import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Calls(Dataset):
    """`<species>_<number>.npy` in one folder; the file before the first is the index of the archive."""

    def __init__(self, folder: Path) -> None:
        self.files = sorted(folder.glob("*.npy"))

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, idx):
        if torch.is_tensor(idx):
            idx = idx.tolist()
        path = self.files[idx]
        wave = torch.from_numpy(np.load(path)).float()
        return wave.unsqueeze(0), int(path.name.startswith("wren"))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 6, kernel_size=9, stride=4)
        self.head = nn.Linear(6, 2)

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        return self.head(F.relu(self.conv(wave)).mean(dim=2))


def write(folder: Path, count: int = 56) -> None:
    time = np.arange(160) / 160
    for number in range(count):
        species, pitch = ("wren", 24) if number % 2 else ("dunnock", 9)
        np.save(folder / f"{species}_{number:03}.npy", np.sin(2 * np.pi * pitch * time + number))


def main() -> None:
    torch.manual_seed(3)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder)
        loader = DataLoader(Calls(folder), batch_size=8, shuffle=True)
        net = Net()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
        for epoch in range(4):
            for waves, species in loader:
                loss = F.cross_entropy(net(waves), species)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            print(epoch, round(loss.item(), 3))


main()
