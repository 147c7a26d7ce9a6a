"""One picture is fitted to another: convolutions take (C, H, W) as well."""

import torch
from torch import nn


class Filter(nn.Module):
    def __init__(self):
        super().__init__()
        self.enter = nn.Conv2d(3, 8, 5, padding=2)
        self.leave = nn.Conv2d(8, 3, 5, padding=2)

    def forward(self, picture):
        return torch.sigmoid(self.leave(torch.relu(self.enter(picture))))


def blurred(picture):
    weight = torch.full((3, 1, 5, 5), 1 / 25)
    return nn.functional.conv2d(picture, weight, padding=2, groups=3)


torch.manual_seed(0)
picture = torch.rand(3, 40, 30)
wanted = blurred(picture)
model = Filter()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for step in range(20):
    loss = nn.functional.l1_loss(model(picture), wanted)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
with torch.no_grad():
    image = model(picture).permute(1, 2, 0).numpy()
print(image.shape, loss.item())
