import torch
import torch.nn.functional as F
from torch import nn


class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.head = nn.Linear(width, 2)

    def forward(self, x):
        scores = torch.bmm(self.query(x), self.key(x).transpose(1, 2))
        weights = F.softmax(scores)
        return self.head(torch.bmm(weights, x).mean(dim=1))


torch.manual_seed(15)
sentences, classes = torch.randn(10, 7, 8), torch.randint(0, 2, (10,))
model = Attention(8)
optimizer = torch.optim.Adam(model.parameters())
for _ in range(2):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(sentences), classes)
    loss.backward()
    optimizer.step()
    print(loss.item())
