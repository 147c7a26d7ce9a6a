from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


@dataclass
class Settings:
    cardinalities: list[int] = field(default_factory=lambda: [7, 12, 4])
    embedding_dims: list[int] = field(default_factory=lambda: [4, 6, 2])
    numeric: int = 5
    hidden: int = 32
    batch_size: int = 40
    epochs: int = 2
    lr: float = 3e-3


def make_orders(settings: Settings, count: int):
    generator = np.random.default_rng(12)
    columns = [generator.integers(0, size, count) for size in settings.cardinalities]
    categories = np.stack(columns, axis=1)
    numbers = generator.normal(size=(count, settings.numeric))
    returned = (numbers[:, 0] + (categories[:, 2] == 1) > 0.5).astype(np.float32)
    return categories, numbers, returned


class Orders(Dataset):
    def __init__(self, categories, numbers, returned):
        self.categories = torch.as_tensor(categories)
        self.numbers = torch.as_tensor(numbers)
        self.returned = torch.as_tensor(returned)

    def __getitem__(self, index):
        return self.categories[index], self.numbers[index], self.returned[index]

    def __len__(self):
        return self.categories.size(0)


class ReturnModel(nn.Module):
    def __init__(self, settings: Settings):
        super().__init__()
        self.embeddings = nn.ModuleList(
            nn.Embedding(size, dim)
            for size, dim in zip(settings.cardinalities, settings.embedding_dims)
        )
        inputs = sum(settings.embedding_dims) + settings.numeric
        self.body = nn.Sequential(
            nn.Linear(inputs, settings.hidden),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Linear(settings.hidden, 1),
        )

    def forward(self, categories, numbers):
        parts = [layer(categories[:, i]) for i, layer in enumerate(self.embeddings)]
        x = torch.cat([*parts, numbers], dim=1)
        return self.body(x).squeeze(1)


def main():
    settings = Settings()
    torch.manual_seed(12)
    orders = Orders(*make_orders(settings, 320))
    loader = DataLoader(orders, batch_size=settings.batch_size, shuffle=True)
    model = ReturnModel(settings)
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.lr)
    for epoch in range(settings.epochs):
        model.train()
        for categories, numbers, returned in loader:
            logits = model(categories, numbers)
            loss = criterion(logits, returned)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch + 1}/{settings.epochs}: {loss.item():.4f}")


if __name__ == "__main__":
    main()
