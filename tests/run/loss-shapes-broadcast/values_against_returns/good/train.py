"""A walker on a line learns to reach its right end. The critic gives a column, the returns are a list of numbers."""

import torch
from torch import nn
from torch.distributions import Categorical

torch.manual_seed(5)
LENGTH, GAMMA = 6, 0.9


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(LENGTH, 24), nn.ReLU())
        self.policy = nn.Linear(24, 2)
        self.value = nn.Linear(24, 1)

    def forward(self, states):
        hidden = self.body(states)
        return self.policy(hidden), self.value(hidden)


def walk(agent, most=14):
    place, states, actions, rewards = 2, [], [], []
    for _ in range(most):
        state = torch.eye(LENGTH)[place]
        with torch.no_grad():
            logits, _ = agent(state[None])
        action = Categorical(logits=logits[0]).sample()
        place = max(0, place + (1 if action == 1 else -1))
        states.append(state)
        actions.append(action)
        rewards.append(1.0 if place == LENGTH - 1 else -0.05)
        if place == LENGTH - 1:
            break
    return torch.stack(states), torch.stack(actions), rewards


def discounted(rewards):
    total, found = 0.0, []
    for reward in reversed(rewards):
        total = reward + GAMMA * total
        found.insert(0, total)
    return torch.tensor(found)


agent = ActorCritic()
optimizer = torch.optim.Adam(agent.parameters(), lr=0.01)
for episode in range(30):
    states, actions, rewards = walk(agent)
    returns = discounted(rewards)
    logits, values = agent(states)
    advantages = returns - values.detach().squeeze(1)
    chosen = Categorical(logits=logits).log_prob(actions)
    policy_loss = -(chosen * advantages).mean()
    value_loss = (returns - values.squeeze(1)).pow(2).mean()
    loss = policy_loss + 0.5 * value_loss
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if episode % 10 == 9:
        print(episode + 1, len(rewards), f"{value_loss.item():.3f}")
