import random
from collections import deque

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


class QNetwork(nn.Module):
    def __init__(self, states, actions, hidden=32):
        super().__init__()
        self.fc1 = nn.Linear(states, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.fc3 = nn.Linear(hidden, actions)

    def forward(self, state):
        x = F.relu(self.fc1(state))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


class Corridor:
    """Walk right to the end of a corridor: the state is (position, steps left)."""

    def reset(self):
        self.position, self.left = 0, 12
        return np.array([self.position, self.left], dtype=np.float32)

    def step(self, action):
        self.position = max(0, self.position + (1 if action == 1 else -1))
        self.left -= 1
        done = self.position == 5 or self.left == 0
        state = np.array([self.position, self.left], dtype=np.float32)
        return state, float(self.position == 5), done


class Agent:
    def __init__(self, gamma=0.95, epsilon=0.3, batch_size=16):
        self.q = QNetwork(2, 2)
        self.target = QNetwork(2, 2)
        self.target.load_state_dict(self.q.state_dict())
        self.optimizer = torch.optim.Adam(self.q.parameters(), lr=1e-3)
        self.memory = deque(maxlen=500)
        self.gamma, self.epsilon, self.batch_size = gamma, epsilon, batch_size

    def act(self, state):
        if random.random() < self.epsilon:
            return random.randrange(2)
        values = self.q(torch.from_numpy(state).unsqueeze(0))
        return int(values.detach().numpy().argmax())

    def learn(self):
        if len(self.memory) < self.batch_size:
            return
        batch = random.sample(self.memory, self.batch_size)
        states, actions, rewards, following, done = zip(*batch)
        states = torch.tensor(np.stack(states))
        actions = torch.tensor(actions, dtype=torch.long).unsqueeze(1)
        rewards = torch.tensor(rewards, dtype=torch.float32)
        following = torch.tensor(np.stack(following))
        ended = torch.tensor(done, dtype=torch.float32)
        value = self.q(states).gather(1, actions).squeeze(1)
        with torch.no_grad():
            best = self.target(following).max(dim=1).values
        loss = F.smooth_l1_loss(value, rewards + self.gamma * best * (1 - ended))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def main():
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    environment, agent = Corridor(), Agent()
    for episode in range(12):
        state, done, total = environment.reset(), False, 0.0
        while not done:
            action = agent.act(state)
            following, reward, done = environment.step(action)
            agent.memory.append((state, action, reward, following, done))
            agent.learn()
            state, total = following, total + reward
        if episode % 4 == 3:
            agent.target.load_state_dict(agent.q.state_dict())
            print(episode, total)


if __name__ == "__main__":
    main()
