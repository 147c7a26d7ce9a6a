"""Tells woven, dotted and rough surfaces apart."""

import argparse

import torch
from torch import nn

from backbone import Projection, Stage


def surface(kind, side):
    rows = torch.arange(side).float()[:, None]
    columns = torch.arange(side).float()[None, :]
    frequency = 0.8 + 0.4 * torch.rand(())
    if kind == 0:
        image = torch.sin(frequency * rows) * torch.ones_like(columns)
    elif kind == 1:
        image = torch.sin(frequency * rows) * torch.sin(frequency * columns)
    else:
        image = torch.randn(side, side)
    return (image + 0.2 * torch.randn(side, side)).unsqueeze(0)


def batch_of_surfaces(n, side):
    kinds = torch.randint(0, 3, (n,))
    return torch.stack([surface(int(kind), side) for kind in kinds]), kinds


class TextureModel(nn.Module):
    def __init__(self, widths, activation):
        super().__init__()
        pairs = zip([1] + widths[:-1], widths)
        self.stages = nn.Sequential(*[Stage(a, b, activation) for a, b in pairs])
        self.projection = Projection(widths[-1], 12)
        self.classifier = nn.Linear(12, 3)

    def forward(self, images):
        return self.classifier(self.projection(self.stages(images)))


def main(args):
    torch.manual_seed(args.seed)
    model = TextureModel(args.widths, args.activation)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    loss_fn = nn.CrossEntropyLoss()
    model.train()
    for step in range(1, args.steps + 1):
        images, kinds = batch_of_surfaces(args.batch, args.side)
        loss = loss_fn(model(images), kinds)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 0:
            print(f"step {step}: {loss.item():.4f}")
    model.eval()
    with torch.no_grad():
        images, kinds = batch_of_surfaces(90, args.side)
        print("accuracy", (model(images).argmax(1) == kinds).float().mean().item())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--widths", type=int, nargs="+", default=[8, 8, 16])
    parser.add_argument("--activation", default="relu")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--side", type=int, default=16)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=2)
    main(parser.parse_args())
