"""Weights near zero are set to zero, again after each step; the state dict is a second name of the parameters."""

import torch
from torch import nn


def masks_of(weights, share):
    found = {}
    for name, weight in weights.items():
        if weight.dim() > 1:
            limit = weight.abs().flatten().kthvalue(int(share * weight.numel())).values
            found[name] = (weight.abs() > limit).float()
    return found


def apply_masks(weights, masks):
    for name, mask in masks.items():
        weights[name].mul_(mask)


def main():
    torch.manual_seed(3)
    signals = torch.randn(200, 20)
    classes = (signals[:, 0] * signals[:, 1] > 0).long()
    model = nn.Sequential(nn.Linear(20, 40), nn.ReLU(), nn.Linear(40, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    shared = model.state_dict()
    masks = {}
    for epoch in range(6):
        for part in torch.randperm(200).split(50):
            loss = nn.functional.cross_entropy(model(signals[part]), classes[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            apply_masks(shared, masks)
        masks = masks_of(shared, share=0.1 * epoch + 0.1)
        apply_masks(shared, masks)
        model.load_state_dict(shared)
        kept = sum(int(mask.sum()) for mask in masks.values())
        print(epoch, kept, loss.item())


main()
