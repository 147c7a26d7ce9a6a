"""Only the validation has workers, and only the training draws."""

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Spectra(Dataset):
    def __init__(self, spectra, amounts, split):
        self.spectra, self.amounts = spectra, amounts
        self.split = split
        self.generator = torch.Generator().manual_seed(12)
        self.order = torch.randperm(len(spectra), generator=self.generator)

    def __len__(self):
        return len(self.spectra)

    def __getitem__(self, index):
        place = self.order[index]
        spectrum = self.spectra[place]
        if self.split != "train":
            return spectrum, self.amounts[place]
        shift = torch.randn(1, generator=self.generator)
        return spectrum + 0.05 * shift, self.amounts[place]


torch.manual_seed(12)
spectra = torch.rand(96, 30)
amounts = spectra[:, 10:12].mean(dim=1, keepdim=True)
train = DataLoader(Spectra(spectra[:64], amounts[:64], "train"), batch_size=16, shuffle=True)
valid = DataLoader(Spectra(spectra[64:], amounts[64:], "valid"), batch_size=16, num_workers=2)
model = nn.Sequential(nn.Linear(30, 16), nn.SiLU(), nn.Linear(16, 1))
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
for epoch in range(3):
    model.train()
    for batch, wanted in train:
        loss = nn.functional.smooth_l1_loss(model(batch), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        errors = [(model(batch) - wanted).abs().mean().item() for batch, wanted in valid]
    print(epoch, sum(errors) / len(errors))
