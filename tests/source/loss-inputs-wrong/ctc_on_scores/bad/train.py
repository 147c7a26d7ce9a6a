import torch
from torch import nn


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.read = nn.LSTM(20, 32)
        self.letters = nn.Linear(32, 27)

    def forward(self, frames):
        hidden, _ = self.read(frames)
        return self.letters(hidden)


torch.manual_seed(6)
reader, ctc = Reader(), nn.CTCLoss(blank=0)
optimizer = torch.optim.Adam(reader.parameters(), lr=3e-4)
lengths, sizes = torch.full((8,), 40), torch.full((8,), 10)
for step in range(2):
    frames, texts = torch.randn(40, 8, 20), torch.randint(1, 27, (8, 10))
    scores = reader(frames)
    loss = ctc(scores, texts, lengths, sizes)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item())
