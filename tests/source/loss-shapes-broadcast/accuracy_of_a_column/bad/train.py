import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(12)
patients = TensorDataset(torch.randn(80, 6), torch.randint(0, 2, (80,)).float())
model = nn.Linear(6, 1)
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(model.parameters())
for epoch in range(2):
    hits = 0
    for values, sick in DataLoader(patients, batch_size=20):
        optimizer.zero_grad()
        scores = model(values)
        criterion(scores, sick.unsqueeze(1)).backward()
        optimizer.step()
        predicted = torch.round(torch.sigmoid(scores))
        hits += (predicted == sick).sum().item()
    print(epoch, hits / len(patients))
