import torch
from masking import MaskedSentences
from torch import nn
from torch.utils.data import DataLoader

torch.manual_seed(6)
sentences = torch.randint(2, 50, (96, 12))
data = MaskedSentences(sentences, seed=6)
loader = DataLoader(data, batch_size=16, shuffle=True, num_workers=2)
model = nn.Sequential(nn.Embedding(50, 16), nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 50))
criterion = nn.CrossEntropyLoss(ignore_index=-100)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

for epoch in range(2):
    total = 0.0
    for visible, hidden in loader:
        optimizer.zero_grad()
        loss = criterion(model(visible).flatten(0, 1), hidden.flatten())
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(epoch, total / len(loader))
