import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR


class Trainer:
    def __init__(self, model):
        self.model = model
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        self.warmup = LambdaLR(self.optimizer, lambda step: min(1.0, (step + 1) / 10))
        self.criterion = nn.CrossEntropyLoss()

    def fit(self, batches):
        for x, y in batches:
            self.warmup.step()
            loss = self.criterion(self.model(x), y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return loss.item()


torch.manual_seed(18)
batches = [(torch.randn(8, 4), torch.randint(0, 3, (8,))) for _ in range(5)]
print(Trainer(nn.Linear(4, 3)).fit(batches))
