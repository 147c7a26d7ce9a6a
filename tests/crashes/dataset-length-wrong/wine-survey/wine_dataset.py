import csv

import torch
from torch.utils.data import Dataset


class WineSurvey(Dataset):
    def __init__(self, path):
        with open(path, newline="") as handle:
            reader = csv.reader(handle)
            self.columns = next(reader)
            self.rows = list(reader)

        features, targets = [], []
        for row in self.rows:
            try:
                values = [float(cell) for cell in row[:-1]]
            except ValueError:
                continue
            features.append(values)
            targets.append(int(row[-1]))

        table = torch.tensor(features)
        self.features = (table - table.mean(dim=0)) / table.std(dim=0)
        self.targets = torch.tensor(targets)

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, item):
        return {"x": self.features[item], "y": self.targets[item]}
