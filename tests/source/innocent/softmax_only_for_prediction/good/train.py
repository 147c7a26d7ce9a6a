import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 4)

    def forward(self, x):
        x = self.fc(x)
        return x if self.training else F.softmax(x, dim=1)


torch.manual_seed(23)
x, y = torch.randn(40, 6), torch.randint(0, 4, (40,))
net = Net()
optimizer = torch.optim.Adam(net.parameters())
for epoch in range(2):
    net.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(net(x), y)
    loss.backward()
    optimizer.step()
    net.eval()
    with torch.no_grad():
        print(net(x).max().item())
