import random

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

random.seed(5)
torch.manual_seed(5)

TOPICS = {
    "sport": "match goal team win coach cup league score".split(),
    "money": "bank market share price rate tax profit loan".split(),
    "weather": "rain storm wind snow heat cloud flood frost".split(),
}


def make_headlines(count):
    texts, labels = [], []
    for _ in range(count):
        label = random.randrange(len(TOPICS))
        words = list(TOPICS.values())[label]
        texts.append([random.choice(words) for _ in range(random.randint(4, 9))])
        labels.append(label)
    return texts, labels


texts, labels = make_headlines(120)
vocabulary = {"<pad>": 0, "<unk>": 1}
for text in texts:
    for word in text:
        vocabulary.setdefault(word, len(vocabulary))


class Headlines(Dataset):
    def __init__(self, texts, labels, vocabulary):
        self.texts = texts
        self.labels = labels
        self.vocabulary = vocabulary

    def __len__(self):
        return len(self.texts)

    def __getitem__(self, idx):
        ids = [self.vocabulary.get(word, 1) for word in self.texts[idx]]
        return torch.tensor(ids, dtype=torch.long), self.labels[idx]


def collate(batch):
    ids, labels = zip(*batch)
    return pad_sequence(ids, batch_first=True), torch.tensor(labels)


class TextGRU(nn.Module):
    def __init__(self, words, classes, embedding_dim=12, hidden=20):
        super().__init__()
        self.embedding = nn.Embedding(words, embedding_dim, padding_idx=0)
        self.gru = nn.GRU(embedding_dim, hidden, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(0.2)
        self.out = nn.Linear(hidden, classes)

    def forward(self, ids):
        embedded = self.embedding(ids)
        _, last = self.gru(embedded)
        both = torch.cat([last[0], last[1]], dim=1)
        return self.out(self.dropout(both))


loader = DataLoader(
    Headlines(texts, labels, vocabulary), batch_size=20, shuffle=True, collate_fn=collate
)
model = TextGRU(len(vocabulary), len(TOPICS))
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
criterion = nn.CrossEntropyLoss()

for epoch in range(2):
    running = 0.0
    for ids, targets in loader:
        optimizer.zero_grad()
        loss = criterion(model(ids), targets)
        loss.backward()
        optimizer.step()
        running += loss.item()
    print(f"epoch {epoch + 1}: {running / len(loader):.3f}")
