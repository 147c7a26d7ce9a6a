import numpy as np
import torch
from torch import nn

rng = np.random.default_rng(0)
X = rng.normal(size=(300, 7)).astype(np.float32)
y = (X @ rng.normal(size=7) + 0.1 * rng.normal(size=300)).astype(np.float32)
X_train, X_test = torch.from_numpy(X[:240]), torch.from_numpy(X[240:])
y_train, y_test = torch.from_numpy(y[:240]), torch.from_numpy(y[240:])

torch.manual_seed(0)
model = nn.Sequential(
    nn.Linear(7, 32),
    nn.ReLU(),
    nn.Dropout(0.2),
    nn.Linear(32, 1),
)
loss_fn = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

n_epochs = 3
batch_size = 24
batch_start = torch.arange(0, len(X_train), batch_size)
history = []


def evaluate(features, targets):
    model.eval()
    with torch.no_grad():
        predicted = model(features).squeeze(1)
        return loss_fn(predicted, targets).item()


for epoch in range(n_epochs):
    model.train()
    running_loss = 0.0
    for start in batch_start:
        optimizer.zero_grad()
        X_batch = X_train[start : start + batch_size]
        y_batch = y_train[start : start + batch_size]
        y_pred = model(X_batch).squeeze(1)
        loss = loss_fn(y_pred, y_batch)
        optimizer.step()
        loss.backward()
        running_loss += loss.item()
    mse = evaluate(X_test, y_test)
    history.append(mse)
    print("epoch %d: train %.4f, test %.4f" % (epoch, running_loss / len(batch_start), mse))
print("RMSE: %.3f" % np.sqrt(history[-1]))
