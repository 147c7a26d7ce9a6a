import random
from collections import deque

import torch
from torch import nn


class QNetwork(nn.Module):
    def __init__(self, states=4, actions=2):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(states, 24), nn.ReLU(), nn.Linear(24, actions))

    def forward(self, x):
        return self.body(x)


class Agent:
    def __init__(self, gamma=0.95, epsilon=0.2):
        self.online, self.target = QNetwork(), QNetwork()
        self.target.load_state_dict(self.online.state_dict())
        self.optimizer = torch.optim.Adam(self.online.parameters(), lr=1e-3)
        self.memory = deque(maxlen=500)
        self.gamma, self.epsilon = gamma, epsilon
        self.losses = []

    def act(self, state):
        if random.random() < self.epsilon:
            return random.randrange(2)
        with torch.no_grad():
            return self.online(state).argmax().item()

    def learn(self, batch_size=16):
        if len(self.memory) < batch_size:
            return
        batch = random.sample(self.memory, batch_size)
        states, actions, rewards, following = (list(column) for column in zip(*batch))
        values = self.online(torch.stack(states)).gather(1, torch.tensor(actions).unsqueeze(1))
        with torch.no_grad():
            best = self.target(torch.stack(following)).max(dim=1).values
        goal = torch.tensor(rewards) + self.gamma * best
        loss = nn.functional.smooth_l1_loss(values.squeeze(1), goal)
        loss.backward()
        self.optimizer.step()
        self.losses.append(loss.item())

    def sync(self):
        self.target.load_state_dict(self.online.state_dict())


def play(agent, episodes=3, length=30):
    for episode in range(episodes):
        state, score = torch.zeros(4), 0.0
        for t in range(length):
            action = agent.act(state)
            following = 0.9 * state + 0.1 * torch.randn(4) + (0.1 if action else -0.1)
            reward = 1.0 - following.abs().mean().item()
            agent.memory.append((state, action, reward, following))
            agent.learn()
            state, score = following, score + reward
            if t % 10 == 0:
                agent.sync()
        print(f"episode {episode}: {score:.2f}")


if __name__ == "__main__":
    random.seed(0)
    torch.manual_seed(0)
    agent = Agent()
    play(agent)
    print(sum(agent.losses) / max(1, len(agent.losses)))
