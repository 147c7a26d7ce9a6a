import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Recordings(Dataset):
    """Mono sounds of one length; label 1 has a hum in it."""

    def __init__(self, sounds, labels):
        assert len(sounds) == len(labels)
        self.sounds = sounds
        self.labels = labels

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        wave = torch.tensor(self.sounds[index], dtype=torch.float32)
        return wave.unsqueeze(0), torch.tensor(self.labels[index])


class WaveNet1d(nn.Module):
    def __init__(self, channels=(1, 8, 16, 32), classes=2):
        super().__init__()
        stages = []
        for inputs, outputs in zip(channels[:-1], channels[1:]):
            stages += [
                nn.Conv1d(inputs, outputs, kernel_size=9, padding=4),
                nn.BatchNorm1d(outputs),
                nn.ReLU(),
                nn.MaxPool1d(4),
            ]
        self.stages = nn.Sequential(*stages)
        self.fc = nn.Linear(32 * 8, classes)

    def forward(self, wave):
        maps = self.stages(wave)
        return self.fc(maps.flatten(start_dim=1))


def record(count, length, seed):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, count)
    time = np.arange(length)
    hum = np.sin(time / 5.0)
    sounds = generator.normal(0, 0.5, (count, length)) + labels[:, None] * hum
    return sounds, labels


def run(epochs=2, batch_size=16, lr=1e-3):
    torch.manual_seed(21)
    train = DataLoader(Recordings(*record(80, 512, 1)), batch_size=batch_size, shuffle=True)
    test = DataLoader(Recordings(*record(32, 512, 2)), batch_size=batch_size)
    net = WaveNet1d()
    optimizer = torch.optim.Adam(net.parameters(), lr=lr)
    loss_function = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        net.train()
        for waves, labels in train:
            optimizer.zero_grad()
            loss_function(net(waves), labels).backward()
            optimizer.step()
        net.eval()
        right = 0
        with torch.inference_mode():
            for waves, labels in test:
                right += (net(waves).argmax(-1) == labels).sum().item()
        print(f"{epoch}: {right} of {len(test.dataset)}")


if __name__ == "__main__":
    run()
