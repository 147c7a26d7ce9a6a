import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Patches(Dataset):
    """Random patches of a few large pictures: an epoch is as long as one likes."""

    def __init__(self, pictures, per_epoch):
        self.pictures = pictures
        self.per_epoch = per_epoch

    def __len__(self):
        return self.per_epoch

    def __getitem__(self, index):
        picture = self.pictures[index % len(self.pictures)]
        top, left = torch.randint(0, 24, (2,)).tolist()
        return picture[:, top : top + 8, left : left + 8]


class Denoiser(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1)
        )

    def forward(self, noisy):
        return noisy - self.body(noisy)


torch.manual_seed(0)
loader = DataLoader(Patches(torch.rand(5, 1, 32, 32), per_epoch=64), batch_size=16)
net = Denoiser()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
for epoch in range(2):
    for clean in loader:
        noisy = clean + 0.1 * torch.randn_like(clean)
        loss = nn.functional.mse_loss(net(noisy), clean)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
