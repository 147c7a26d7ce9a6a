"""An actor and a critic: returns grow with the length of the games, and so does the loss of the critic."""

import torch
from torch import nn


class Agent(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(3, 24)
        self.policy = nn.Linear(24, 2)
        self.value = nn.Linear(24, 1)

    def forward(self, state):
        h = torch.tanh(self.body(state))
        return self.policy(h), self.value(h).squeeze(-1)


def play(agent, length):
    state, logs, values, rewards = torch.zeros(3), [], [], []
    for _ in range(length):
        scores, value = agent(state)
        choice = torch.distributions.Categorical(logits=scores)
        action = choice.sample()
        logs.append(choice.log_prob(action))
        values.append(value)
        rewards.append(float(action) * len(rewards))
        state = torch.tanh(state + torch.randn(3) * 0.3 + action)
    return torch.stack(logs), torch.stack(values), torch.tensor(rewards)


torch.manual_seed(0)
agent = Agent()
optimizer = torch.optim.Adam(agent.parameters(), lr=1e-2)
for game in range(20):
    logs, values, rewards = play(agent, length=2 + 2 * game)
    returns = rewards.flip(0).cumsum(0).flip(0)
    advantage = returns - values.detach()
    loss = -(logs * advantage).mean() + (returns - values).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(agent.parameters(), 1.0)
    optimizer.step()
