import torch
from torch import nn


class Agent:
    def __init__(self, limit=0.5):
        self.net = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 2))
        self.optimizer = torch.optim.RMSprop(self.net.parameters(), lr=0.01)
        self.limit = limit

    def learn(self, states, actions, returns):
        log_probs = self.net(states).log_softmax(dim=1)
        chosen = log_probs.gather(1, actions.unsqueeze(1)).squeeze(1)
        loss = -(chosen * returns).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        nn.utils.clip_grad_norm_(self.net.parameters(), self.limit)
        return loss.item()


def main():
    torch.manual_seed(0)
    agent = Agent()
    for episode in range(10):
        states = torch.randn(20, 4)
        actions = (states[:, 0] > 0).long()
        returns = torch.rand(20) * 10
        print(episode, agent.learn(states, actions, returns))


main()
