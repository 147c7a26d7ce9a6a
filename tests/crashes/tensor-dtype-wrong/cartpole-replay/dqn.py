import copy
import random

import torch
from torch import nn

from environment import PoleOnCart
from replay import ReplayMemory


class Agent:
    def __init__(self, gamma=0.98, epsilon=0.3, lr=1e-3):
        self.online = nn.Sequential(
            nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2)
        )
        self.target = copy.deepcopy(self.online).requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.online.parameters(), lr=lr)
        self.gamma = gamma
        self.epsilon = epsilon

    def act(self, state):
        if random.random() < self.epsilon:
            return random.randrange(2)
        with torch.no_grad():
            return int(self.online(torch.tensor(state)).argmax())

    def learn(self, batch):
        states, actions, rewards, next_states, dones = batch
        chosen = self.online(states).gather(1, actions.unsqueeze(1)).squeeze(1)
        best_next = self.target(next_states).max(dim=1).values
        wanted = rewards + self.gamma * (1 - dones) * best_next
        loss = nn.functional.smooth_l1_loss(chosen, wanted)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


def play(episodes=8, batch_size=32):
    random.seed(0)
    torch.manual_seed(0)
    environment = PoleOnCart(seed=0)
    agent = Agent()
    memory = ReplayMemory(2000)
    for episode in range(episodes):
        state, done, steps, loss = environment.reset(), False, 0, float("nan")
        while not done and steps < 200:
            action = agent.act(state)
            next_state, reward, done = environment.step(action)
            memory.push(state, action, reward, next_state, done)
            state = next_state
            steps += 1
            if len(memory) >= batch_size:
                loss = agent.learn(memory.sample(batch_size))
        if episode % 4 == 0:
            agent.target.load_state_dict(agent.online.state_dict())
        print(f"episode {episode}: {steps} steps, loss {loss:.4f}")


if __name__ == "__main__":
    play()
