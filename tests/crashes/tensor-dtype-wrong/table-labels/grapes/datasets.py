import torch
from torch.utils.data import Dataset


class TableDataset(Dataset):
    """Columns of a table as inputs, its last column as the class."""

    def __init__(self, table, mean=None, std=None):
        values = table[:, :-1]
        self.mean = values.mean(axis=0) if mean is None else mean
        self.std = values.std(axis=0) if std is None else std
        self.inputs = torch.from_numpy((values - self.mean) / self.std)
        self.classes = torch.from_numpy(table[:, -1])

    def __len__(self):
        return self.inputs.shape[0]

    def __getitem__(self, index):
        return self.inputs[index], self.classes[index]
