import torch
from torch import nn
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, TensorDataset

EPOCHS = 9
torch.manual_seed(4)
sizes = torch.rand(90, 4)
prices = sizes @ torch.tensor([3.0, 1.0, 0.5, 2.0]) + 0.1 * torch.randn(90)
loader = DataLoader(TensorDataset(sizes, prices), batch_size=10, shuffle=True)
results = {}
for name in ("one cycle", "cosine", "steps"):
    model = nn.Linear(4, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    scheduler = {
        "one cycle": lambda o: lr_scheduler.OneCycleLR(o, max_lr=0.2, total_steps=EPOCHS + 1),
        "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=EPOCHS),
        "steps": lambda o: lr_scheduler.MultiStepLR(o, milestones=[5, 7, 8], gamma=0.1),
    }[name](optimizer)
    for epoch in range(EPOCHS):
        for size, price in loader:
            loss = nn.functional.mse_loss(model(size).squeeze(1), price)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        scheduler.step()
    results[name] = loss.item()
print(results)
