import torch
import torch.nn as nn
import torch.nn.functional as F


class Reviews(nn.Module):
    def __init__(self, vocabulary=100, width=16):
        super().__init__()
        self.words = nn.Embedding(vocabulary, width)
        self.memory = nn.GRU(width, width, batch_first=True)
        self.top = nn.Linear(width, 2)

    def forward(self, tokens):
        outputs, last = self.memory(self.words(tokens))
        last = outputs[:, -1]
        return F.softmax(self.top(last), dim=1)


def main():
    torch.manual_seed(8)
    tokens, moods = torch.randint(0, 100, (40, 9)), torch.randint(0, 2, (40,))
    model, criterion = Reviews(), nn.NLLLoss()
    optimizer = torch.optim.RMSprop(model.parameters())
    for epoch in range(2):
        optimizer.zero_grad()
        answer = model(tokens)
        loss = criterion(answer, moods)
        loss.backward()
        optimizer.step()
        print(loss.item(), (answer.argmax(1) == moods).sum().item())


main()
