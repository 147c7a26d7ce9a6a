"""Values of the states of a corridor, by temporal differences."""

import torch
import torch.nn as nn

torch.manual_seed(13)
STATES, GAMMA = 6, 0.9
values = nn.Sequential(nn.Linear(STATES, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer = torch.optim.SGD(values.parameters(), lr=0.05)
walks = torch.randint(0, STATES - 1, (200,))


def one_hot(states):
    return nn.functional.one_hot(states, STATES).float()


for start in range(0, 200, 20):
    states = walks[start : start + 20]
    following = states + 1
    rewards = (following == STATES - 1).float().unsqueeze(1)
    target = rewards + GAMMA * values(one_hot(following))
    target = target.detach()
    loss = nn.functional.mse_loss(values(one_hot(states)), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(start, loss.item())
