import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


class Photos(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(4, 2)

    def forward(self, image):
        image = image.reshape(image.size(0), 3, 12, 10)
        return self.fc(self.conv(image).mean(dim=(2, 3)))


torch.manual_seed(20)
photos = TensorDataset(torch.rand(30, 12, 10, 3), torch.randint(0, 2, (30,)))
model, criterion = Photos(), nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters())
for image, label in DataLoader(photos, batch_size=10):
    optimizer.zero_grad()
    loss = criterion(model(image), label)
    loss.backward()
    optimizer.step()
    print(loss.item())
