import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class SelfAttention(nn.Module):
    def __init__(self, width=12, heads=3):
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width)
        self.out = nn.Linear(width, 2)

    def forward(self, x):
        B, T, C = x.shape
        q = self.q(x).view(B, T, self.heads, C // self.heads)
        q = q.view(B, self.heads, T, -1)
        weights = torch.softmax(q @ q.transpose(-2, -1), dim=-1)
        mixed = (weights @ q).transpose(1, 2).reshape(B, T, C)
        return self.out(mixed.mean(dim=1))


torch.manual_seed(22)
data = TensorDataset(torch.randn(20, 6, 12), torch.randint(0, 2, (20,)))
model = SelfAttention()
optimizer = torch.optim.Adam(model.parameters())
for x, y in DataLoader(data, batch_size=5):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    print(loss.item())
