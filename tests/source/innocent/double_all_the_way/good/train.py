import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

rng = np.random.default_rng(0)
X = rng.normal(size=(200, 6))
y = X @ rng.normal(size=6) + 0.1 * rng.normal(size=200)

inputs = torch.from_numpy(X)
targets = torch.from_numpy(y).unsqueeze(1)
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 1)).double()
loader = DataLoader(TensorDataset(inputs, targets), batch_size=25, shuffle=True)
optimizer = torch.optim.LBFGS(model.parameters(), max_iter=5)

for epoch in range(2):
    for batch, target in loader:

        def closure():
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(batch), target)
            loss.backward()
            return loss

        loss = optimizer.step(closure)
    print(epoch, loss.item())

weights = model[0].weight.detach().numpy()
print(weights.dtype, weights.shape)
