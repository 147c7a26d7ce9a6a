import random
from collections import deque
from typing import NamedTuple

import torch


class Transition(NamedTuple):
    state: list
    action: int
    reward: float
    next_state: list
    done: bool


class ReplayMemory:
    def __init__(self, capacity):
        self.memory = deque(maxlen=capacity)

    def __len__(self):
        return len(self.memory)

    def push(self, *fields):
        self.memory.append(Transition(*fields))

    def sample(self, size):
        batch = Transition(*zip(*random.sample(self.memory, size)))
        columns = [torch.tensor(column, dtype=torch.float32) for column in batch]
        states, actions, rewards, next_states, dones = columns
        return states, actions, rewards, next_states, dones
