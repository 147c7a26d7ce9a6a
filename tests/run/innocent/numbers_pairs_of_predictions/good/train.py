"""All pairs of a batch are meant: an order to be learned, a distance of two samples, a kernel, a nearest neighbour."""

import torch
from torch import nn

torch.manual_seed(2)
features = torch.randn(96, 4)
ranks = features @ torch.tensor([1.0, -2.0, 0.5, 0.0]) + 0.1 * torch.randn(96)
scorer = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
sampler = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer = torch.optim.Adam([*scorer.parameters(), *sampler.parameters()], lr=0.01)


def order_loss(scores, wanted):
    """Each pair that stands in the wrong order costs its margin."""
    is_above = (wanted[:, None] > wanted[None, :]).float()
    costs = (1 - (scores - scores.T)).clamp(min=0)
    return (costs * is_above).sum() / is_above.sum()


def energy_distance(made, real):
    between = (made - real).abs().mean()
    return 2 * between - (made - made.T).abs().mean()


def discrepancy(made, real, width=1.0):
    def near(left, right):
        return torch.exp(-((left - right) ** 2) / width).mean()

    return near(made, made.T) - 2 * near(made, real)


def nearest(made, real):
    apart = (made - real) ** 2
    return apart.min(dim=1).values.mean() + apart.min(dim=0).values.mean()


def matched(made, real):
    pairs = (made - real).abs()
    with torch.no_grad():
        plan = torch.softmax(-pairs / 0.1, dim=1)
    return (plan * pairs).sum() / len(pairs)


def spread_around(made, real):
    column = real.unsqueeze(1)
    return (made.squeeze(1) - column).abs().mean() - (made - made.T).abs().mean() / 2


losses = (energy_distance, discrepancy, nearest, matched, spread_around)
for step in range(30):
    chosen = torch.randint(0, 96, (24,))
    real = ranks[chosen]
    loss = order_loss(scorer(features[chosen]), real)
    loss = loss + losses[step // 6](sampler(torch.randn(24, 3)), real)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 6 == 5:
        print(losses[step // 6].__name__, f"{loss.item():.3f}")
