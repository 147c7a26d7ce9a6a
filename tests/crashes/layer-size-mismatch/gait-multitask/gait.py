# 걸음걸이 센서 시계열로 여러 과제를 동시에 학습 (multi-task learning)
import math
from dataclasses import dataclass, field

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset


@dataclass
class Settings:
    sensors: int = 6
    steps: int = 40
    hidden: int = 32
    layers: int = 1
    batch: int = 20
    epochs: int = 2
    lr: float = 4e-3
    seed: int = 11
    tasks: dict = field(default_factory=lambda: {"surface": 4, "shoe": 3, "speed": 1})


class GaitDataset(Dataset):
    def __init__(self, cfg, count, seed):
        g = torch.Generator().manual_seed(seed)
        self.surface = torch.randint(0, 4, (count,), generator=g)
        self.shoe = torch.randint(0, 3, (count,), generator=g)
        self.speed = 0.8 + torch.rand(count, generator=g)
        t = torch.linspace(0, 4 * math.pi, cfg.steps)
        phase = torch.rand(count, 1, cfg.sensors, generator=g)
        wave = torch.sin(t[None, :, None] * self.speed[:, None, None] + phase)
        wave = wave * (1 + self.surface[:, None, None] * 0.4)
        noise = torch.randn(wave.shape, generator=g) * (0.05 + 0.1 * self.shoe[:, None, None])
        self.wave = wave + noise

    def __len__(self):
        return self.wave.shape[0]

    def __getitem__(self, idx):
        targets = {
            "surface": self.surface[idx],
            "shoe": self.shoe[idx],
            "speed": self.speed[idx],
        }
        return self.wave[idx], targets


class GaitNet(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.encoder = nn.LSTM(
            cfg.sensors, cfg.hidden, cfg.layers, batch_first=True, bidirectional=True
        )
        self.norm = nn.LayerNorm(2 * cfg.hidden)
        self.heads = nn.ModuleDict(
            {task: nn.Linear(cfg.hidden, size) for task, size in cfg.tasks.items()}
        )

    def forward(self, wave):
        states, _ = self.encoder(wave)
        summary = self.norm(states.mean(dim=1))
        return {task: head(summary) for task, head in self.heads.items()}


class MultiTaskLoss(nn.Module):
    """분류는 cross entropy, 속도는 smooth L1."""

    def forward(self, outputs, targets):
        loss = 0.0
        for task, prediction in outputs.items():
            if prediction.shape[-1] == 1:
                loss = loss + nn.functional.smooth_l1_loss(prediction[:, 0], targets[task])
            else:
                loss = loss + nn.functional.cross_entropy(prediction, targets[task])
        return loss


def fit(cfg):
    torch.manual_seed(cfg.seed)
    loader = DataLoader(
        GaitDataset(cfg, 240, cfg.seed), batch_size=cfg.batch, shuffle=True, num_workers=2
    )
    model, loss_fn = GaitNet(cfg), MultiTaskLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=cfg.lr)
    for epoch in range(cfg.epochs):
        losses = []
        for wave, targets in loader:
            optimizer.zero_grad()
            loss = loss_fn(model(wave), targets)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            losses.append(loss.item())
        print(f"에폭 {epoch}: 평균 손실 {sum(losses) / len(losses):.4f}")


if __name__ == "__main__":
    fit(Settings())
