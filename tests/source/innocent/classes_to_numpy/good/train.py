import numpy as np
import torch
from sklearn.datasets import load_iris
from sklearn.metrics import f1_score
from torch import nn

X, y = load_iris(return_X_y=True)
inputs = torch.tensor(X, dtype=torch.float32)
labels = torch.tensor(y)
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
history = []
for epoch in range(20):
    scores = model(inputs)
    loss = nn.functional.cross_entropy(scores, labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    predicted = scores.argmax(dim=1).numpy()
    history.append((loss.item(), f1_score(y, predicted, average="macro")))
print(np.array(history)[-1])
best = max(range(len(history)), key=lambda epoch: history[epoch][1])
print("best epoch", best)
