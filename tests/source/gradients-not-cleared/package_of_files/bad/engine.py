import torch


class AverageMeter:
    def __init__(self):
        self.total = 0.0
        self.count = 0

    def update(self, value, n=1):
        self.total += value * n
        self.count += n

    @property
    def mean(self):
        return self.total / max(1, self.count)


class Engine:
    def __init__(self, model, optimizer, criterion):
        self.model = model
        self.optimizer = optimizer
        self.criterion = criterion

    def forward_backward(self, x, y):
        loss = self.criterion(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss

    def train(self, loader):
        self.model.train()
        meter = AverageMeter()
        for x, y in loader:
            loss = self.forward_backward(x, y)
            meter.update(loss.item(), x.size(0))
        return meter.mean

    def validate(self, loader):
        self.model.eval()
        meter = AverageMeter()
        with torch.no_grad():
            for x, y in loader:
                predicted = self.model(x).argmax(dim=1)
                meter.update((predicted == y).float().mean().item(), x.size(0))
        return meter.mean
