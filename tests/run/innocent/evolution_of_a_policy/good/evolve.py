"""No gradient is computed: it is estimated from what small changes of the weights do, and put into `.grad`."""

import torch
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

torch.manual_seed(20)
policy = nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 1))
optimizer = torch.optim.Adam(policy.parameters(), lr=0.03)
places = torch.randn(32, 2)


@torch.no_grad()
def reward(weights):
    vector_to_parameters(weights, policy.parameters())
    return -(policy(places).squeeze(1) - places.prod(dim=1)).square().mean()


for generation in range(15):
    center = parameters_to_vector(policy.parameters()).detach().clone()
    changes = torch.randn(20, len(center))
    rewards = torch.stack([reward(center + 0.1 * change) for change in changes])
    vector_to_parameters(center, policy.parameters())
    weights = (rewards - rewards.mean()) / (rewards.std() + 1e-6)
    estimate = -(weights.unsqueeze(1) * changes).mean(dim=0)
    start = 0
    for parameter in policy.parameters():
        part = estimate[start : start + parameter.numel()]
        parameter.grad = part.view_as(parameter).clone()
        start += parameter.numel()
    score = torch.tensor(rewards.mean().item(), requires_grad=True)
    score.backward()
    optimizer.step()
print(rewards.mean().item())
