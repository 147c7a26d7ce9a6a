"""Dates in words become numbers: a small encoder and decoder, in mixed precision where there is a GPU."""

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

WORDS, DIGITS, LENGTH = 40, 12, 8
GROUP = 2
device = "cuda" if torch.cuda.is_available() else "cpu"
use_amp = device == "cuda"


class Dates(Dataset):
    def __init__(self, count=96):
        generator = torch.Generator().manual_seed(5)
        self.words = torch.randint(1, WORDS, (count, LENGTH), generator=generator)
        self.digits = self.words % DIGITS

    def __len__(self):
        return len(self.words)

    def __getitem__(self, index):
        return self.words[index], self.digits[index]


class Translator(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.embedding = nn.Embedding(WORDS, width)
        self.reader = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.writer = nn.Linear(2 * width, DIGITS)

    def forward(self, words):
        read, _ = self.reader(self.embedding(words))
        return self.writer(read)


torch.manual_seed(0)
model = Translator().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
scaler = torch.amp.GradScaler(device, enabled=use_amp)
criterion = nn.CrossEntropyLoss()
loader = DataLoader(Dates(), batch_size=8, shuffle=True)

for epoch in range(2):
    for batch, (words, digits) in enumerate(loader, start=1):
        words, digits = words.to(device), digits.to(device)
        with torch.autocast(device, enabled=use_amp):
            scores = model(words)
            loss = criterion(scores.flatten(0, 1), digits.flatten())
        scaler.scale(loss / GROUP).backward()
        if batch % GROUP == 0:
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad(set_to_none=True)
    print(epoch, loss.item())
