# Predict the consumption of a boiler from eight gauges; a notebook that was exported to a script.
import numpy as np
import torch
from torch import nn

# %% data
rng = np.random.default_rng(2)
gauges = rng.normal(size=(480, 8)).astype("float32")
weights = rng.normal(size=8).astype("float32")
consumption = np.tanh(gauges @ weights) + 0.05 * rng.normal(size=480).astype("float32")
X = torch.from_numpy(gauges)
Y = torch.from_numpy(consumption.astype("float32")).reshape(-1, 1)
split = 400


# %% model
class BoilerNet(nn.Module):
    def __init__(self, n_gauges=8, n_hidden=16):
        super().__init__()
        self.project = nn.Linear(n_gauges, n_gauges)
        self.lstm = nn.LSTM(input_size=n_gauges, hidden_size=n_hidden)
        self.mix = nn.Conv1d(n_hidden, n_hidden, kernel_size=1)
        self.out = nn.Linear(n_hidden, 1)

    def forward(self, x):
        x = torch.relu(self.project(x))
        seq, _ = self.lstm(x)
        seq = self.mix(seq.permute(1, 2, 0))
        return self.out(seq.mean(dim=-1))


net = BoilerNet()
mse = nn.MSELoss()
opt = torch.optim.Adam(net.parameters(), lr=3e-3)

# %% training
history = []
for epoch in range(5):
    order = torch.randperm(split)
    for start in range(0, split, 50):
        rows = order[start : start + 50]
        prediction = net(X[rows])
        loss = mse(prediction, Y[rows])
        opt.zero_grad()
        loss.backward()
        opt.step()
    with torch.no_grad():
        history.append(mse(net(X[split:]), Y[split:]).item())

# %% result
print(" ".join(f"{value:.3f}" for value in history))
