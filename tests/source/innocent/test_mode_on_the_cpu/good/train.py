"""The collate function moves each batch to the GPU; a dry run moves it back, and keeps its model on the CPU."""

import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Words(Dataset):
    def __init__(self, count):
        self.ids = torch.randint(0, 10, (count, 5))

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, index):
        return self.ids[index], self.ids[index, 0] % 2


def placing(device):
    def collate(samples):
        inputs = torch.stack([x for x, _ in samples]).to(device)
        labels = torch.stack([y for _, y in samples]).to(device)
        return inputs, labels

    return collate


def batch_loss(inputs, labels, model, device):
    inputs, labels = inputs.to(device), labels.to(device)
    return nn.functional.cross_entropy(model(inputs), labels)


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.embedding = nn.Embedding(10, width)
        self.head = nn.Linear(width, 2)

    def forward(self, ids):
        return self.head(self.embedding(ids).mean(dim=1))


def main(is_dry):
    torch.manual_seed(19)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    loader = DataLoader(Words(48), batch_size=12, shuffle=True, collate_fn=placing(device))
    if is_dry:
        model = Net(4)
        device = "cpu"
    else:
        model = Net(32)
        model.to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for inputs, labels in loader:
        optimizer.zero_grad()
        loss = batch_loss(inputs, labels, model, device)
        loss.backward()
        optimizer.step()
        print(loss.item())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--dry", action="store_true")
    main(parser.parse_args().dry)
