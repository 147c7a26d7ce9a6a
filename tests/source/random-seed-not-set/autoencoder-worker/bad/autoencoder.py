import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

import torchmedic


class Stripes(Dataset):
    def __len__(self):
        return 48

    def __getitem__(self, index):
        image = torch.zeros(1, 16, 16)
        image[:, :, index % 16] = 1.0
        return image + 0.05 * torch.randn(1, 16, 16)


class AutoEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.ReLU())
        self.decoder = nn.ConvTranspose2d(4, 1, 2, stride=2)

    def forward(self, x):
        return self.decoder(self.encoder(x))


def main():
    loader = DataLoader(Stripes(), batch_size=12, shuffle=True, num_workers=2)
    model = AutoEncoder()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for epoch in range(2):
        for images in loader:
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(images), images)
            loss.backward()
            optimizer.step()
        print(epoch, loss.item())


if __name__ == "__main__":
    main()
