import torch
from torch import nn


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(4, 2)
        self.saved = []

    def act(self, state):
        choice = torch.distributions.Categorical(logits=self.net(state))
        action = choice.sample()
        self.saved.append(choice.log_prob(action))
        return action.item()


torch.manual_seed(0)
policy = Policy()
optimizer = torch.optim.Adam(policy.parameters(), lr=0.01)
for episode in range(25):
    rewards = []
    for t in range(10):
        state = torch.randn(4)
        rewards.append(1.0 if policy.act(state) == int(state[0] > 0) else 0.0)
    returns = torch.tensor(rewards).flip(0).cumsum(0).flip(0)
    loss = -(torch.stack(policy.saved) * (returns - returns.mean())).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    del policy.saved[:]
    print(episode, sum(rewards))
