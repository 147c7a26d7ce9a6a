import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader, Dataset

SENTENCES = [
    ("Anna lives in Berlin", "P O O L"),
    ("the train from Paris to Rome is late", "O O O L O L O O"),
    ("Omar and Lena met in Oslo", "P O P O O L"),
    ("my friend Ivan likes Madrid", "O O P O L"),
] * 8
TAGS = {"O": 0, "P": 1, "L": 2}


class Tagged(Dataset):
    def __init__(self, sentences):
        words = sorted({w for text, _ in sentences for w in text.split()})
        self.number = {w: n for n, w in enumerate(words, start=1)}
        self.items = [
            (
                torch.tensor([self.number[w] for w in text.split()]),
                torch.tensor([TAGS[t] for t in tags.split()]),
            )
            for text, tags in sentences
        ]

    def __len__(self):
        return len(self.number)

    def __getitem__(self, index):
        return self.items[index]


def collate(batch):
    words, tags = zip(*batch)
    lengths = torch.tensor([len(w) for w in words])
    padded = pad_sequence(words, batch_first=True)
    return padded, lengths, pad_sequence(tags, batch_first=True, padding_value=-1)


class Tagger(nn.Module):
    def __init__(self, words, emb=10, hidden=14):
        super().__init__()
        self.embed = nn.Embedding(words + 1, emb, padding_idx=0)
        self.lstm = nn.LSTM(emb, hidden, batch_first=True, bidirectional=True)
        self.classify = nn.Linear(hidden * 2, len(TAGS))

    def forward(self, words, lengths):
        packed = pack_padded_sequence(
            self.embed(words), lengths, batch_first=True, enforce_sorted=False
        )
        states, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        return self.classify(states)


def main():
    torch.manual_seed(0)
    data = Tagged(SENTENCES)
    loader = DataLoader(data, batch_size=8, shuffle=True, collate_fn=collate)
    model = Tagger(len(data.number))
    criterion = nn.CrossEntropyLoss(ignore_index=-1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(3):
        total = 0.0
        for words, lengths, tags in loader:
            model.zero_grad()
            scores = model(words, lengths)
            loss = criterion(scores.reshape(-1, len(TAGS)), tags.reshape(-1))
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(f"{epoch}: {total:.3f}")


if __name__ == "__main__":
    main()
