import torch
from torch import nn

torch.manual_seed(0)
encoder, decoder = nn.Linear(10, 4), nn.Linear(4, 10)
slow = torch.optim.SGD(encoder.parameters(), lr=0.01)
fast = torch.optim.SGD(decoder.parameters(), lr=0.1)
for step in range(20):
    x = torch.randn(16, 10)
    loss = (decoder(torch.tanh(encoder(x))) - x).pow(2).mean()
    slow.zero_grad()
    fast.zero_grad()
    loss.backward()
    fast.step()
    nn.utils.clip_grad_norm_(encoder.parameters(), 0.5)
    slow.step()
    norm = nn.utils.clip_grad_norm_(decoder.parameters(), float("inf"))
print(loss.item(), norm.item())
