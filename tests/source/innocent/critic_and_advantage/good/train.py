"""Advantage actor-critic on a toy: the advantage is a constant for the actor, and the critic has a loss of its own."""

import torch
from torch import nn
from torch.distributions import Categorical

torch.manual_seed(4)
body = nn.Sequential(nn.Linear(4, 32), nn.Tanh())
actor, critic = nn.Linear(32, 2), nn.Linear(32, 1)
parameters = [*body.parameters(), *actor.parameters(), *critic.parameters()]
optimizer = torch.optim.Adam(parameters, lr=3e-3)


def play(length):
    state = torch.randn(4)
    chances, values, rewards = [], [], []
    for _ in range(length):
        hidden = body(state)
        policy = Categorical(logits=actor(hidden))
        action = policy.sample()
        chances.append(policy.log_prob(action))
        values.append(critic(hidden).squeeze(0))
        rewards.append(float(action.item() == int(state[0] > 0)))
        state = torch.randn(4)
    return torch.stack(chances), torch.stack(values), rewards


for episode in range(10):
    chances, values, rewards = play(16)
    returns, running = [], 0.0
    for reward in reversed(rewards):
        running = reward + 0.9 * running
        returns.insert(0, running)
    wanted = torch.tensor(returns)
    advantage = wanted - values.detach()
    loss = -(chances * advantage).mean() + 0.5 * (values - wanted).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(sum(rewards))
