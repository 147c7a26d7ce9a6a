import time

import torch
from torch import nn
from torch.utils.data import DataLoader

VOCAB = {word: i for i, word in enumerate("good bad fine poor great awful film plot".split())}
TEXTS = [("good film", 1), ("awful plot", 0), ("great fine film", 1), ("bad poor film", 0)] * 12


def collate_batch(batch):
    labels, text_list, offsets = [], [], [0]
    for text, label in batch:
        labels.append(label)
        ids = torch.tensor([VOCAB[word] for word in text.split()], dtype=torch.int64)
        text_list.append(ids)
        offsets.append(ids.size(0))
    labels = torch.tensor(labels, dtype=torch.int64)
    offsets = torch.tensor(offsets[:-1]).cumsum(dim=0)
    return labels, torch.cat(text_list), offsets


class TextClassificationModel(nn.Module):
    def __init__(self, vocab_size, embed_dim, num_class):
        super().__init__()
        self.embedding = nn.EmbeddingBag(vocab_size, embed_dim, sparse=False)
        self.dropout = nn.Dropout(0.3)
        self.fc = nn.Linear(embed_dim, num_class)

    def forward(self, text, offsets):
        return self.fc(self.dropout(self.embedding(text, offsets)))


torch.manual_seed(0)
model = TextClassificationModel(len(VOCAB), 8, 2)
criterion = torch.nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1.0, gamma=0.1)
train_dataloader = DataLoader(TEXTS[:36], batch_size=6, shuffle=True, collate_fn=collate_batch)
valid_dataloader = DataLoader(TEXTS[36:], batch_size=6, collate_fn=collate_batch)


def train(dataloader):
    total_acc, total_count = 0, 0
    log_interval = 3
    losses = []
    for idx, (label, text, offsets) in enumerate(dataloader):
        optimizer.zero_grad()
        predicted_label = model(text, offsets)
        loss = criterion(predicted_label, label)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()
        losses.append(loss.item())
        total_acc += (predicted_label.argmax(1) == label).sum().item()
        total_count += label.size(0)
        if idx % log_interval == 0 and idx > 0:
            print(f"| {idx:5d} batches | accuracy {total_acc / total_count:8.3f}")
            total_acc, total_count = 0, 0
    return sum(losses) / len(losses)


def evaluate(dataloader):
    model.eval()
    total_acc, total_count = 0, 0
    with torch.no_grad():
        for idx, (label, text, offsets) in enumerate(dataloader):
            predicted_label = model(text, offsets)
            total_acc += (predicted_label.argmax(1) == label).sum().item()
            total_count += label.size(0)
    return total_acc / total_count


total_accu = None
for epoch in range(1, 4):
    epoch_start_time = time.time()
    mean_loss = train(train_dataloader)
    accu_val = evaluate(valid_dataloader)
    if total_accu is not None and total_accu > accu_val:
        scheduler.step()
    else:
        total_accu = accu_val
    elapsed = time.time() - epoch_start_time
    print(f"| end of epoch {epoch} | {elapsed:5.2f}s | loss {mean_loss:.3f} | valid {accu_val:.3f}")
