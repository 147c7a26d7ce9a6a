import torch
import torch.nn as nn


class Moods(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(14, 20)
        self.out = nn.Linear(20, 3)
        self.probabilities = nn.LogSoftmax()

    def forward(self, x):
        return self.probabilities(self.out(self.hidden(x).relu()))


torch.manual_seed(14)
x, y = torch.randn(30, 14), torch.randint(0, 3, (30,))
moods, nll = Moods(), nn.NLLLoss()
optimizer = torch.optim.Adam(moods.parameters())
for _ in range(2):
    optimizer.zero_grad()
    loss = nll(moods(x), y)
    loss.backward()
    optimizer.step()
    print(loss.item())
