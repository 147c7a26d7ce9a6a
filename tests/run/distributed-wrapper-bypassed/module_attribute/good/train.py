# %% set-up
import torch
import torch.distributed as dist
from torch import nn, optim
from torch.nn.parallel import DistributedDataParallel

torch.manual_seed(3)
dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)

# %% an autoencoder for short signals
signals = torch.randn(48, 1, 16).cumsum(dim=-1)
signals = (signals - signals.mean()) / signals.std()
encoder = nn.Sequential(nn.Conv1d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 6))
decoder = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 16), nn.Unflatten(1, (1, 16)))
model = DistributedDataParallel(nn.Sequential(encoder, decoder))
optimizer = optim.RMSprop(model.parameters(), lr=1e-3)
schedule = optim.lr_scheduler.StepLR(optimizer, step_size=10, gamma=0.5)

# %% training
for step in range(24):
    chosen = torch.randint(0, len(signals), (12,))
    batch = signals[chosen]
    optimizer.zero_grad()
    rebuilt = model(batch)
    error = (rebuilt - batch).square().mean()
    error.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    schedule.step()
    if step % 8 == 7:
        print(step, f"{error.item():.4f}")

# %% what it learned
with torch.no_grad():
    codes = model.module[0](signals)
print(codes.shape, codes.std(dim=0).mean().item() > 0)
dist.destroy_process_group()
