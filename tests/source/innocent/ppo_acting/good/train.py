"""PPO: the policy acts in training mode, and `evaluate` is part of the loss."""

import torch
from torch import nn
from torch.distributions import Categorical


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Dropout(0.05))
        self.actor, self.critic = nn.Linear(16, 2), nn.Linear(16, 1)

    def forward(self, state):
        hidden = self.body(state)
        return self.actor(hidden), self.critic(hidden).squeeze(-1)

    def evaluate(self, state, action):
        logits, value = self(state)
        distribution = Categorical(logits=logits)
        return distribution.log_prob(action), value, distribution.entropy()


torch.manual_seed(0)
agent = ActorCritic()
optimizer = torch.optim.Adam(agent.parameters(), lr=3e-3)
for update in range(3):
    states, actions, old, rewards = [], [], [], []
    state = torch.randn(4)
    for step in range(24):
        logits, _ = agent(state)
        distribution = Categorical(logits=logits.detach())
        action = distribution.sample()
        states.append(state)
        actions.append(action)
        old.append(distribution.log_prob(action))
        rewards.append(float(state[0] * (1 if action.item() else -1)))
        state = 0.9 * state + 0.3 * torch.randn(4)
    states, actions = torch.stack(states), torch.stack(actions)
    old, returns = torch.stack(old), torch.tensor(rewards)
    for epoch in range(3):
        log_prob, value, entropy = agent.evaluate(states, actions)
        ratio = (log_prob - old).exp()
        advantage = returns - value.detach()
        clipped = torch.clamp(ratio, 0.8, 1.2) * advantage
        policy_loss = -torch.min(ratio * advantage, clipped).mean()
        loss = policy_loss + 0.5 * (value - returns).pow(2).mean() - 0.01 * entropy.mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
        optimizer.step()
    print(update, sum(rewards), loss.item())
