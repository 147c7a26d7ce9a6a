# breast cancer: binary classification with one output neuron
import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import MinMaxScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

np.random.seed(5)
torch.manual_seed(5)

hparams = dict(lr=0.01, weight_decay=1e-4, epochs=4, batch_size=64, folds=3)

data, target = load_breast_cancer(return_X_y=True)
scores = []

folds = StratifiedKFold(n_splits=hparams["folds"], shuffle=True, random_state=5)
for fold, (train_idx, valid_idx) in enumerate(folds.split(data, target)):
    scaler = MinMaxScaler()
    x_train = torch.tensor(scaler.fit_transform(data[train_idx]), dtype=torch.float32)
    x_valid = torch.tensor(scaler.transform(data[valid_idx]), dtype=torch.float32)
    y_train = torch.tensor(target[train_idx]).unsqueeze(1)
    y_valid = target[valid_idx]

    loader = DataLoader(
        TensorDataset(x_train, y_train),
        batch_size=hparams["batch_size"],
        shuffle=True,
    )

    model = nn.Sequential(
        nn.Linear(data.shape[1], 20),
        nn.ELU(),
        nn.Dropout(0.1),
        nn.Linear(20, 1),
    )
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(
        model.parameters(), lr=hparams["lr"], weight_decay=hparams["weight_decay"]
    )

    for epoch in range(hparams["epochs"]):
        model.train()
        for xb, yb in loader:
            optimizer.zero_grad()
            logits = model(xb)
            loss = criterion(logits, yb)
            loss.backward()
            optimizer.step()

    model.eval()
    with torch.no_grad():
        probabilities = torch.sigmoid(model(x_valid)).squeeze(1).numpy()
    scores.append(roc_auc_score(y_valid, probabilities))
    print("fold", fold, "auc", round(float(scores[-1]), 4))

print("mean auc", np.mean(scores))
