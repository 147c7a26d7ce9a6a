"""Regression on transitions of a pendulum that are gathered while it is trained: the memory grows between passes."""

import math

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Memory(Dataset):
    def __init__(self, room):
        self.room = room
        self.states, self.following = [], []

    def add(self, state, following):
        self.states.append(torch.tensor(state))
        self.following.append(torch.tensor(following))

    def __len__(self):
        return min(len(self.states), self.room)

    def __getitem__(self, index):
        return self.states[index], self.following[index]


def swing(angle, speed, dt=0.05):
    speed = speed - 9.81 * math.sin(angle) * dt
    return angle + speed * dt, speed


def gather(memory, steps, angle):
    state = (angle, 0.0)
    for _ in range(steps):
        following = swing(*state)
        memory.add(state, following)
        state = following


def main():
    torch.manual_seed(6)
    memory = Memory(room=400)
    model = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for number in range(5):
        gather(memory, steps=100, angle=0.3 + 0.2 * number)
        for states, following in DataLoader(memory, batch_size=50, shuffle=True):
            loss = nn.functional.mse_loss(model(states), following)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(number, len(memory), loss.item())


if __name__ == "__main__":
    main()
