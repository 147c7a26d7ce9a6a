import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(10, 16)
        self.out = nn.Linear(16, 5)

    def forward(self, x):
        features = self.body(x).tanh()
        return torch.sigmoid(self.out(features))


torch.manual_seed(2)
texts, tags = torch.randn(48, 10), torch.randint(0, 2, (48, 5)).float()
tagger = Tagger()
optimizer = torch.optim.Adam(tagger.parameters())
for _ in range(3):
    optimizer.zero_grad()
    answer = tagger(texts)
    loss = binary_cross_entropy_with_logits(answer, tags)
    loss.backward()
    optimizer.step()
    right = ((answer > 0.5) == tags.bool()).float().mean()
    print(loss.item(), right.item())
