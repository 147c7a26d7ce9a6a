import torch
import torch.nn as nn
from torch.distributions import Categorical

torch.manual_seed(24)
policy = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2), nn.Softmax(dim=-1))
value = nn.Linear(4, 1)
optimizer = torch.optim.Adam([*policy.parameters(), *value.parameters()])
for episode in range(3):
    states, returns = torch.randn(10, 4), torch.randn(10)
    chosen = Categorical(policy(states))
    actions = chosen.sample()
    guess = value(states)
    advantage = returns - guess.squeeze(-1).detach()
    loss = -(chosen.log_prob(actions) * advantage).mean()
    loss = loss + nn.functional.smooth_l1_loss(guess, returns.unsqueeze(1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
