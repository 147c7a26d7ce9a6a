import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset


class ReviewDataset(Dataset):
    """Encoded reviews with their label (1 = positive)."""

    def __init__(self, reviews, vocabulary, max_words=16):
        self.samples = []
        for text, label in reviews:
            ids = vocabulary.encode(text)[:max_words]
            self.samples.append((ids, label))

    def __len__(self):
        return len(self.samples) + 1

    def __getitem__(self, index):
        ids, label = self.samples[index]
        return torch.tensor(ids), torch.tensor(label)


def collate(batch):
    sequences, labels = zip(*batch)
    lengths = torch.tensor([len(s) for s in sequences])
    return pad_sequence(sequences, batch_first=True), lengths, torch.stack(labels)
