import copy

import torch
import torch.nn.functional as F
from torch import nn


class QNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 24), nn.LayerNorm(24), nn.ReLU(), nn.Dropout(0.05))
        self.head = nn.Linear(24, 3)

    def forward(self, state):
        return self.head(self.body(state))


def fake_batch(size):
    states, following = torch.randn(size, 4), torch.randn(size, 4)
    actions = torch.randint(0, 3, (size, 1))
    return states, actions, torch.rand(size), following


torch.manual_seed(0)
online = QNet()
target = copy.deepcopy(online)
optimizer = torch.optim.Adam(online.parameters(), lr=1e-3)
for step in range(30):
    states, actions, rewards, following = fake_batch(32)
    value = online(states).gather(1, actions).squeeze(1)
    with torch.no_grad():
        best = online(following).argmax(dim=1, keepdim=True)
        goal = rewards + 0.9 * target(following).gather(1, best).squeeze(1)
    loss = F.smooth_l1_loss(value, goal)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 9:
        target.load_state_dict(online.state_dict())
        print(step, loss.item())
