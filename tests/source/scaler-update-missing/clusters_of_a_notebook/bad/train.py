# %% A variational guess at two clusters: cells of a notebook, exported
import torch
from torch import nn, optim

torch.manual_seed(0)
centers = torch.tensor([[2.0, 0.0], [-2.0, 0.0]])
points = centers[torch.randint(0, 2, (128,))] + 0.3 * torch.randn(128, 2)

# %% the model
encoder = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2))
decoder = nn.Sequential(nn.Linear(1, 16), nn.ReLU(), nn.Linear(16, 2))
weights = [*encoder.parameters(), *decoder.parameters()]
opt = optim.Adam(weights, lr=5e-3)
scaler = torch.amp.GradScaler("cuda")


# %% the loss
def negative_elbo(batch):
    mean, log_var = encoder(batch).chunk(2, dim=1)
    latent = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
    rebuilt = decoder(latent)
    apart = ((rebuilt - batch) ** 2).sum(dim=1)
    prior = 0.5 * (mean**2 + log_var.exp() - log_var - 1).sum(dim=1)
    return (apart + prior).mean()


# %% training
history = []
for step in range(12):
    batch = points[torch.randperm(len(points))[:32]]
    with torch.autocast("cuda", dtype=torch.float16):
        objective = negative_elbo(batch)
    opt.zero_grad()
    scaler.scale(objective).backward()
    scaler.unscale_(opt)
    nn.utils.clip_grad_norm_(weights, 1.0)
    scaler.step(opt)
    history.append(objective.item())

# %% the result
print(history[0], history[-1])
