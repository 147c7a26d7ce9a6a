# Acidity of soil samples from what was measured beside it. A table as text, as the laboratory sends it.
import csv
import io
import math

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


def table(rows=180):
    lines = ["lime,humus,sand,clay,rain,acidity"]
    for n in range(rows):
        lime, humus, sand = (n % 9) / 9, (n % 7) / 7, (n % 5) / 5
        clay, rain = 1 - sand, abs(math.sin(n))
        acidity = 7 + lime - 2 * humus - 0.5 * rain
        lines.append(",".join(f"{v:.3f}" for v in (lime, humus, sand, clay, rain, acidity)))
    return "\n".join(lines)


class Soil(Dataset):
    def __init__(self, text):
        reader = csv.reader(io.StringIO(text))
        self.columns = next(reader)
        values = torch.tensor([[float(v) for v in row] for row in reader])
        self.inputs, self.acidity = values[:, :-1], values[:, -1:]

    def __len__(self):
        return len(self.inputs)

    def __getitem__(self, i):
        return self.inputs[i], self.acidity[i]


torch.manual_seed(1)
soil = Soil(table())
loader = DataLoader(soil, batch_size=2, shuffle=True)
net = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)

for epoch in range(5):
    running = 0.0
    for inputs, acidity in loader:
        optimizer.zero_grad()
        loss = nn.functional.l1_loss(net(inputs), acidity)
        loss.backward()
        optimizer.step()
        running += loss.item()
    print(epoch, running)
