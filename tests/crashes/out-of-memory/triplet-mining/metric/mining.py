import torch


def pairwise_distance(points):
    gaps = points[:, None, :] - points[None, :, :]
    return gaps.norm(dim=-1)


@torch.no_grad()
def hardest_triplets(points, labels):
    """For each anchor the farthest sample of its class and the nearest one of the others."""
    distance = pairwise_distance(points)
    same = labels[:, None] == labels[None, :]
    positive = distance.masked_fill(~same, -1).argmax(dim=1)
    negative = distance.masked_fill(same, float("inf")).argmin(dim=1)
    return positive, negative
