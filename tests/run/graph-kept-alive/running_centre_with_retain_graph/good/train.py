import torch
from torch import nn


def batches(count, size=64):
    generator = torch.Generator().manual_seed(3)
    for _ in range(count):
        yield torch.randn(size, 128, generator=generator)


def train(steps=40):
    encoder = nn.Sequential(nn.Linear(128, 32), nn.Tanh())
    optimizer = torch.optim.SGD(encoder.parameters(), lr=0.05)
    centre = torch.zeros(32)
    for step, batch in enumerate(batches(steps)):
        features = encoder(batch)
        centre = 0.9 * centre.detach() + 0.1 * features.mean(dim=0)
        loss = (features - centre).pow(2).sum(dim=1).mean() - features.var(dim=0).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 0:
            print(f"{step:3d} {loss.item():.4f}")
    return encoder, centre


if __name__ == "__main__":
    torch.manual_seed(0)
    train()
