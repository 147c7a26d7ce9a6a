# 영수증 데이터로 만든 간단한 추천 모델 (행렬 분해)
import csv
import pathlib
import random
import tempfile

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

SEED = 404


def barcode(rng):
    digits = [8, 8, 0] + [rng.randrange(10) for _ in range(9)]
    check = -sum(d * (3 if k % 2 else 1) for k, d in enumerate(digits)) % 10
    return "".join(map(str, [*digits, check]))


def write_receipts(path, n_customers=60, n_products=150, n_rows=3000):
    rng = random.Random(SEED)
    products = [(barcode(rng), rng.gauss(0, 1)) for _ in range(n_products)]
    taste = [rng.gauss(0, 1) for _ in range(n_customers)]
    with open(path, "w", newline="", encoding="utf-8") as f:
        out = csv.writer(f)
        out.writerow(["customer", "barcode", "stars"])
        for _ in range(n_rows):
            c = rng.randrange(n_customers)
            code, quality = rng.choice(products)
            stars = 3 + quality * taste[c] + rng.gauss(0, 0.3)
            out.writerow([c, code, min(5, max(1, round(stars)))])


def read_receipts(path):
    with open(path, newline="", encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    customers = np.array([int(r["customer"]) for r in rows])
    products = np.array([int(r["barcode"]) for r in rows])
    stars = np.array([float(r["stars"]) for r in rows], dtype=np.float32)
    return customers, products, stars


class Recommender(nn.Module):
    def __init__(self, n_customers, n_products, dim=8):
        super().__init__()
        self.customer = nn.Embedding(n_customers, dim)
        self.product = nn.Embedding(n_products, dim)
        self.product_bias = nn.Embedding(n_products, 1)
        self.mean = nn.Parameter(torch.tensor(3.0))

    def forward(self, customer, product):
        match = (self.customer(customer) * self.product(product)).sum(-1)
        return self.mean + match + self.product_bias(product)[:, 0]


def main():
    torch.manual_seed(SEED)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "receipts.csv"
        write_receipts(path)
        customers, products, stars = read_receipts(path)

    n_customers = int(customers.max()) + 1
    n_products = int(products.max()) + 1
    data = TensorDataset(
        torch.from_numpy(customers), torch.from_numpy(products), torch.from_numpy(stars)
    )
    loader = DataLoader(data, batch_size=128, shuffle=True)
    model = Recommender(n_customers, n_products)
    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.1)
    for epoch in range(3):
        squared = 0.0
        for customer, product, star in loader:
            loss = nn.functional.mse_loss(model(customer, product), star)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            squared += loss.item() * len(star)
        print(f"epoch {epoch}: RMSE {(squared / len(data)) ** 0.5:.3f}")  # 평균 제곱근 오차


if __name__ == "__main__":
    main()
