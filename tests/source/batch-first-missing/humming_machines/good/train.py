# Which of two machines hums: a script from top to bottom
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(2)


class Hums(Dataset):
    def __init__(self, count, steps=20):
        times = torch.linspace(0, 6.28, steps)
        self.labels = torch.randint(0, 2, (count,))
        pitch = 1.0 + self.labels.float()
        self.waves = torch.sin(pitch[:, None] * times).unsqueeze(2)

    def __len__(self):
        return len(self.waves)

    def __getitem__(self, index):
        return self.waves[index], self.labels[index]


loader = DataLoader(Hums(80), batch_size=16, shuffle=True)
recurrent = nn.GRU(input_size=1, hidden_size=10, batch_first=True)
classifier = nn.Linear(10, 2)
parameters = list(recurrent.parameters()) + list(classifier.parameters())
optimizer = torch.optim.SGD(parameters, lr=0.1)

for epoch in range(2):
    for waves, labels in loader:
        states, _ = recurrent(waves)
        summary = states.mean(dim=1)
        loss = F.cross_entropy(classifier(summary), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
