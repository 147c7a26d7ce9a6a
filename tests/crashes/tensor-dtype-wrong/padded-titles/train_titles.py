import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

from preprocess import TOPICS, build_vocab, make_titles, pad_titles

MAX_LEN = 10


class TextCNN(nn.Module):
    def __init__(self, n_words, n_classes, dim=16, kernels=(2, 3)):
        super().__init__()
        self.embed = nn.Embedding(n_words, dim, padding_idx=0)
        self.convs = nn.ModuleList(nn.Conv1d(dim, 12, k) for k in kernels)
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(12 * len(kernels), n_classes)

    def forward(self, ids):
        embedded = self.embed(ids).transpose(1, 2)
        pooled = [torch.relu(conv(embedded)).amax(dim=2) for conv in self.convs]
        return self.fc(self.dropout(torch.cat(pooled, dim=1)))


def make_loader(titles, vocab, shuffle):
    ids = torch.from_numpy(pad_titles(titles, vocab, MAX_LEN))
    topics = torch.tensor([topic for _, topic in titles])
    return DataLoader(TensorDataset(ids, topics), batch_size=32, shuffle=shuffle)


def main():
    torch.manual_seed(8)
    titles = make_titles(500, seed=8)
    vocab = build_vocab(titles)
    train_loader = make_loader(titles[:400], vocab, shuffle=True)
    dev_loader = make_loader(titles[400:], vocab, shuffle=False)

    model = TextCNN(len(vocab), len(TOPICS))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(3):
        model.train()
        for ids, topics in train_loader:
            loss = criterion(model(ids), topics)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        # 검증
        model.eval()
        with torch.no_grad():
            right = sum((model(ids).argmax(1) == topics).sum().item() for ids, topics in dev_loader)
        print(f"epoch {epoch}: dev {right / 100:.2f}")


if __name__ == "__main__":
    main()
