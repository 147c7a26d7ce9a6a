import torch
import torch.nn as nn
import torch.nn.functional as F


class Segmenter(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.encode = nn.Conv2d(3, 8, 3, padding=1)
        self.decode = nn.Conv2d(8, classes, 1)

    def forward(self, images):
        return self.decode(F.relu(self.encode(images)))


torch.manual_seed(1)
pictures = torch.rand(12, 3, 16, 16)
masks = torch.randint(0, 4, (12, 16, 16))
model = Segmenter(4)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for epoch in range(2):
    maps = model(pictures)
    loss = F.nll_loss(maps, masks)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item())
