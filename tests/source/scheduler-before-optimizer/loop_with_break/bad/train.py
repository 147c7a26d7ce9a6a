import torch

torch.manual_seed(19)
x, y = torch.randn(40, 2), torch.randn(40, 1)
net = torch.nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.5)
cosine = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=10)
best = float("inf")
for epoch in range(10):
    cosine.step()
    opt.zero_grad()
    loss = torch.nn.functional.l1_loss(net(x), y)
    loss.backward()
    opt.step()
    if loss.item() > best:
        break
    best = loss.item()
print(best)
