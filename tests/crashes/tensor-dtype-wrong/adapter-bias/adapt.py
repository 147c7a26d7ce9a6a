from functools import partial

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import scale
from torch.nn import functional as F

from adapters import Adapter, FrozenLinear


def source_model(x, y):
    """What the other hospital hands over: weights of a logistic regression, from half of the features."""
    half = x.copy()
    half[:, x.shape[1] // 2 :] = 0.0
    fitted = LogisticRegression(max_iter=200).fit(half, y)
    return fitted.coef_, fitted.intercept_


def batches(x, y, size, rng):
    order = rng.permutation(len(y))
    for rows in np.array_split(order, max(1, len(order) // size)):
        yield torch.from_numpy(x[rows]), torch.from_numpy(y[rows])


def main(epochs=3, rank=2, size=32):
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    table = load_breast_cancer()
    x, y = scale(table.data), table.target
    weight, bias = source_model(x, y)
    model = Adapter(FrozenLinear(weight, bias), rank)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=1e-2)
    objective = partial(F.binary_cross_entropy_with_logits, reduction="mean")

    x = x.astype(np.float32)
    for epoch in range(epochs):
        total = 0.0
        for features, malignant in batches(x, y, size, rng):
            logit = model(features).squeeze(1)
            loss = objective(logit, malignant.float())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(f"epoch {epoch}: {total:.3f}")


if __name__ == "__main__":
    main()
