import torch
from forecaster import Forecaster
from torch.utils.data import DataLoader, TensorDataset
from trainer import Trainer

torch.manual_seed(8)
days = torch.randn(64, 24, 5)
loads = days.sum(dim=2)
loader = DataLoader(TensorDataset(days, loads), batch_size=16, shuffle=True)
trainer = Trainer(Forecaster(readings=5, width=16), loader)
print(trainer.fit(2))
