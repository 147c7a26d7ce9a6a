import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

EPOCHS = 15

torch.manual_seed(0)
inputs = torch.randn(64, 5)
targets = inputs.cumsum(dim=1)[:, -1:]
model = nn.Sequential(nn.Linear(5, 20), nn.Tanh(), nn.Linear(20, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
schedule = LambdaLR(optimizer, lambda epoch: (EPOCHS - epoch) // (EPOCHS + 1))
for epoch in range(EPOCHS):
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(model(inputs), targets)
    loss.backward()
    optimizer.step()
    schedule.step()
    print(epoch, schedule.get_last_lr(), loss.item())
