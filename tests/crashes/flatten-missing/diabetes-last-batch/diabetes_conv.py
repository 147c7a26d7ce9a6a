"""Predict disease progression after one year with a 1-D convolution over the ten measurements."""
import csv
import os
import tempfile

import torch
import torch.nn as nn
from sklearn.datasets import load_diabetes
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(17)


def export_csv(folder):
    table = load_diabetes()
    path = os.path.join(folder, "diabetes.csv")
    with open(path, "w", newline="") as f:
        writer = csv.writer(f)
        writer.writerow([*table.feature_names, "progression"])
        for row, target in zip(table.data, table.target):
            writer.writerow([*row, target])
    return path


class PatientCSV(Dataset):
    def __init__(self, path):
        self.rows = []
        with open(path, newline="") as f:
            for record in csv.DictReader(f):
                target = float(record.pop("progression")) / 100
                self.rows.append(([20 * float(v) for v in record.values()], target))

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        values, target = self.rows[index]
        return torch.tensor(values).unsqueeze(0), torch.tensor(target)


class ConvRegressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 8, kernel_size=3, padding=1)
        self.act = nn.ELU()
        self.pool = nn.AvgPool1d(2)
        self.hidden = nn.Linear(40, 20)
        self.out = nn.Linear(20, 1)

    def forward(self, x):
        x = self.pool(self.act(self.conv(x)))
        x = x.view(32, 40)
        x = self.act(self.hidden(x))
        return self.out(x)[:, 0]


def main():
    with tempfile.TemporaryDirectory() as folder:
        dataset = PatientCSV(export_csv(folder))
    loader = DataLoader(dataset, batch_size=32, shuffle=True)
    model = ConvRegressor()
    loss_fn = nn.HuberLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)

    for epoch in range(5):
        total = 0.0
        for values, target in loader:
            optimizer.zero_grad()
            prediction = model(values)
            loss = loss_fn(prediction, target)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(target)
        print(f"epoch {epoch}: huber {total / len(dataset):.4f}")


main()
