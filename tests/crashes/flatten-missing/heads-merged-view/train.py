import random

import torch
import torch.nn.functional as F
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

from modules import SentimentEncoder

GOOD = "great lovely warm funny bright charming".split()
BAD = "dull boring cold awful slow clumsy".split()
FILL = "the movie was and its plot actors with a very scene this ending felt".split()


def write_review(rng):
    label = rng.randrange(2)
    words = rng.choices(FILL, k=rng.randint(4, 12)) + rng.choices([BAD, GOOD][label], k=2)
    rng.shuffle(words)
    return words, label


def make_collate(index):
    # 길이가 다른 문장을 0으로 채워 묶는다
    def collate(batch):
        ids = [torch.tensor([index[w] for w in words]) for words, _ in batch]
        labels = torch.tensor([label for _, label in batch])
        return pad_sequence(ids, batch_first=True), labels

    return collate


def main():
    rng = random.Random(0)
    torch.manual_seed(0)
    reviews = [write_review(rng) for _ in range(500)]
    index = {w: i for i, w in enumerate(sorted({w for words, _ in reviews for w in words}), 1)}
    collate = make_collate(index)
    train_loader = DataLoader(reviews[:400], 40, shuffle=True, collate_fn=collate)
    valid_loader = DataLoader(reviews[400:], 50, collate_fn=collate)

    model = SentimentEncoder(len(index) + 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(3):
        model.train()
        for ids, labels in train_loader:
            loss = F.cross_entropy(model(ids), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            right = sum((model(i).argmax(1) == y).sum().item() for i, y in valid_loader)
        print(f"epoch {epoch} | 손실 {loss.item():.3f} | 정확도 {right / 100:.2f}")


if __name__ == "__main__":
    main()
