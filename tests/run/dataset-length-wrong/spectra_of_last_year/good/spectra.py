"""Purity of a powder from its infrared spectrum. The archive grew this year; the number in the code did not."""

import os
import tempfile

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

BANDS = 24


def record(path):
    """Stands for the instrument: an archive as it writes one."""
    source = np.random.default_rng(4)
    purity = source.uniform(0.5, 1.0, size=640).astype(np.float32)
    shape = np.exp(-(np.linspace(-2, 2, BANDS, dtype=np.float32) ** 2))
    noise = source.normal(0, 0.02, size=(640, BANDS)).astype(np.float32)
    np.savez(path, spectra=purity[:, None] * shape + noise, purity=purity)


class Spectra(Dataset):
    def __init__(self, path):
        with np.load(path) as archive:
            self.spectra = archive["spectra"]
            self.purity = archive["purity"]

    def __len__(self):
        return len(self.spectra)

    def __getitem__(self, index):
        return torch.from_numpy(self.spectra[index]), torch.tensor([self.purity[index]])


def main():
    torch.manual_seed(8)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "archive.npz")
        record(path)
        data = Spectra(path)
    loader = DataLoader(data, batch_size=32, shuffle=True)
    model = nn.Sequential(nn.Linear(BANDS, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    criterion = nn.MSELoss()
    for epoch in range(3):
        total = 0.0
        for spectra, purity in loader:
            optimizer.zero_grad()
            loss = criterion(model(spectra), purity)
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(f"epoch {epoch}: {total / len(loader):.4f}")


if __name__ == "__main__":
    main()
