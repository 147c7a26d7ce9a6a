import torch
from torch import nn
from torch.nn.utils import clip_grad_value_

torch.manual_seed(0)
rnn = nn.RNN(2, 10, batch_first=True)
head = nn.Linear(10, 1)
optimizer = torch.optim.SGD([*rnn.parameters(), *head.parameters()], lr=0.01)

signal = torch.sin(torch.linspace(0, 20, 400)).view(20, 20, 1)
inputs = torch.cat([signal, torch.ones_like(signal)], dim=2)

for epoch in range(3):
    total = 0.0
    for start in range(0, 20, 5):
        batch = inputs[start : start + 5]
        states, _ = rnn(batch[:, :-1])
        loss = (head(states) - batch[:, 1:, :1]).abs().mean()
        loss.backward()
        clip_grad_value_(rnn.parameters(), 0.1)
        optimizer.step()
        optimizer.zero_grad()
        total += loss.item()
    print(epoch, total / 4)
