import torch
from torch import nn

torch.manual_seed(0)
noisy = torch.randn(60, 9)
clean = noisy.tanh()
net = nn.Linear(9, 9)
optimizer = torch.optim.SGD(net.parameters(), lr=0.05)

for epoch in range(2):
    for number, rows in enumerate(torch.arange(60).split(10)):
        loss = nn.functional.mse_loss(net(noisy[rows]), clean[rows])
        (loss / 2).backward()
        if number % 2 == 1:
            optimizer.step()
            optimizer.zero_grad()
    print(epoch, loss.item())
