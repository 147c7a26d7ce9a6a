import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Clips(Dataset):
    """Clips of 8 frames of 16 x 16 grey pixels; a bright bar moves left or right."""

    def __init__(self, count):
        frames = torch.zeros(count, 8, 16, 16)
        directions = torch.randint(0, 2, (count,))
        for clip, direction in zip(frames, directions):
            for t in range(8):
                column = 2 * t if direction == 1 else 15 - 2 * t
                clip[t, :, column] = 1.0
        self.frames = frames + 0.1 * torch.randn_like(frames)
        self.directions = directions

    def __len__(self):
        return self.frames.shape[1]

    def __getitem__(self, index):
        clip = self.frames[index].unsqueeze(0)
        return clip, self.directions[index]


class Conv3dNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.block1 = self.block(1, 4)
        self.block2 = self.block(4, 8)
        self.global_pool = nn.AdaptiveAvgPool3d(1)
        self.fc = nn.Linear(8, 2)

    @staticmethod
    def block(inputs, outputs):
        return nn.Sequential(
            nn.Conv3d(inputs, outputs, kernel_size=3, padding=1),
            nn.BatchNorm3d(outputs),
            nn.ReLU(),
            nn.MaxPool3d(2),
        )

    def forward(self, clips):
        x = self.block2(self.block1(clips))
        x = self.global_pool(x).flatten(1)
        return self.fc(x)


def main():
    torch.manual_seed(6)
    loader = DataLoader(Clips(48), batch_size=12, shuffle=True)
    model = Conv3dNet()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    history = []
    for epoch in range(2):
        model.train()
        for clips, directions in loader:
            optimizer.zero_grad()
            loss = criterion(model(clips), directions)
            loss.backward()
            optimizer.step()
            history.append(loss.item())
        print(f"epoch {epoch}: {history[-1]:.3f}")


if __name__ == "__main__":
    main()
