"""Q-learning on a line of seven places. The goal is the last one."""

import copy
import random
from collections import deque

import torch
from torch import nn

PLACES, GAMMA, TAU = 7, 0.9, 0.05


def encoded(places):
    return torch.eye(PLACES)[torch.tensor(places)]


def step(place, action):
    after = min(PLACES - 1, max(0, place + (1 if action else -1)))
    return after, 1.0 if after == PLACES - 1 else 0.0


def follow(slow, fast, tau):
    with torch.no_grad():
        for p, q in zip(slow.parameters(), fast.parameters()):
            p.copy_(tau * q + (1 - tau) * p)


def learn(online, target, optimizer, memory):
    batch = random.sample(memory, 16)
    places, actions, rewards, later = map(list, zip(*batch))
    with torch.no_grad():
        best = target(encoded(later)).max(dim=1).values
    wanted = torch.tensor(rewards) + GAMMA * best * (torch.tensor(rewards) == 0)
    chosen = online(encoded(places)).gather(1, torch.tensor(actions).unsqueeze(1)).squeeze(1)
    loss = nn.functional.smooth_l1_loss(chosen, wanted)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    follow(target, online, TAU)
    return loss.item()


random.seed(3)
torch.manual_seed(3)
online = nn.Sequential(nn.Linear(PLACES, 24), nn.ReLU(), nn.Linear(24, 2))
target = copy.deepcopy(online)
optimizer = torch.optim.Adam(online.parameters(), lr=0.01)
memory, place, last = deque(maxlen=200), 0, 0.0
for turn in range(120):
    action = random.randint(0, 1)
    after, reward = step(place, action)
    memory.append((place, action, reward, after))
    place = 0 if reward else after
    if len(memory) >= 32:
        last = learn(online, target, optimizer, memory)
greedy = online(encoded(range(PLACES))).argmax(dim=1).tolist()
print(f"{last:.4f}", greedy, len(copy.copy(memory)))
