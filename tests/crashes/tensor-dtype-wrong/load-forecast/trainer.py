import torch


class BaseTrainer:
    """Owns the loop; what a step does is the subclass's affair."""

    def __init__(self, model, optimizer, max_epochs):
        self.model = model
        self.optimizer = optimizer
        self.max_epochs = max_epochs
        self.history = []

    def compute_loss(self, batch):
        raise NotImplementedError

    def training_step(self, batch):
        self.optimizer.zero_grad()
        loss = self.compute_loss(batch)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def fit(self, train_loader, valid_loader):
        for epoch in range(self.max_epochs):
            self.model.train()
            train = [self.training_step(batch) for batch in train_loader]
            self.model.eval()
            with torch.no_grad():
                valid = [self.compute_loss(batch).item() for batch in valid_loader]
            self.history.append((sum(train) / len(train), sum(valid) / len(valid)))
            print("epoch {}: train {:.4f} valid {:.4f}".format(epoch, *self.history[-1]))
