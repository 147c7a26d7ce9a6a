"""Two networks, two optimizers, one rollout after the other."""

import torch
from torch import nn


class Actor(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 1))

    def forward(self, state):
        return torch.tanh(self.net(state))


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, state, action):
        return self.net(torch.cat([state, action], dim=-1)).squeeze(-1)


def rollout(actor, length=32):
    state = torch.randn(3)
    states, actions, rewards = [], [], []
    with torch.no_grad():
        for _ in range(length):
            action = actor(state) + 0.1 * torch.randn(1)
            states.append(state)
            actions.append(action)
            rewards.append(-(state[0] - action[0]).pow(2))
            state = 0.8 * state + 0.2 * torch.randn(3)
    return torch.stack(states), torch.stack(actions), torch.stack(rewards)


def main():
    torch.manual_seed(17)
    actor, critic = Actor(), Critic()
    actor_optim = torch.optim.Adam(actor.parameters(), lr=1e-3)
    critic_optim = torch.optim.Adam(critic.parameters(), lr=1e-2)
    for iteration in range(6):
        states, actions, rewards = rollout(actor)

        critic_loss = nn.functional.mse_loss(critic(states, actions), rewards)
        critic_optim.zero_grad()
        critic_loss.backward()

        actor_loss = -critic(states, actor(states)).mean()
        actor_optim.zero_grad()
        actor_loss.backward()
        actor_optim.step()

        print(f"{iteration}: critic {critic_loss.item():.3f}, actor {actor_loss.item():.3f}")


if __name__ == "__main__":
    main()
