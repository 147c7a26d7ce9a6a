import numpy as np
import torch
from sklearn.datasets import load_diabetes
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Patients(Dataset):
    def __init__(self, features, progression):
        self.features = torch.tensor(features, dtype=torch.float32)
        self.progression = torch.tensor(progression, dtype=torch.float32).unsqueeze(1)

    def __len__(self):
        return self.features.shape[1]

    def __getitem__(self, i):
        return self.features[i], self.progression[i]


def build_model(inputs: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden // 2),
        nn.ReLU(),
        nn.Linear(hidden // 2, 1),
    )


def fit(model: nn.Module, loader: DataLoader, epochs: int) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-3)
    loss_function = nn.MSELoss()
    for epoch in range(epochs):
        model.train()
        losses = []
        for features, progression in loader:
            loss = loss_function(model(features), progression)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        print(f"epoch {epoch}: {np.mean(losses):.4f}")


def main() -> None:
    torch.manual_seed(11)
    X, y = load_diabetes(return_X_y=True)
    y = (y - y.mean()) / y.std()
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=0)
    scaler = StandardScaler().fit(X_train)
    train_set = Patients(scaler.transform(X_train), y_train)
    test_set = Patients(scaler.transform(X_test), y_test)

    model = build_model(X.shape[1], hidden=32)
    fit(model, DataLoader(train_set, batch_size=32, shuffle=True, drop_last=True), epochs=2)

    model.eval()
    with torch.no_grad():
        predicted = model(test_set.features)
    error = mean_absolute_error(y_test, predicted.squeeze(1).numpy())
    print(f"mean absolute error on {len(test_set)} patients: {error:.3f}")


if __name__ == "__main__":
    main()
