"""Two engines of ignite with functions of one's own."""

import torch
from ignite.engine import Engine, Events
from ignite.metrics import Accuracy
from ignite.utils import manual_seed
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Learner:
    def __init__(self, model, lr=0.01):
        self.model = model
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr)
        self.trainer = Engine(self.update)
        self.evaluator = Engine(self.infer)
        Accuracy().attach(self.evaluator, "accuracy")

    def update(self, engine, batch):
        self.model.train()
        images, labels = batch
        loss = nn.functional.cross_entropy(self.model(images), labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    @torch.no_grad()
    def infer(self, engine, batch):
        images, labels = batch
        return self.model(images), labels

    def fit(self, training, validation, epochs):
        self.trainer.add_event_handler(
            Events.EPOCH_COMPLETED, lambda engine: self.evaluator.run(validation)
        )
        self.trainer.run(training, max_epochs=epochs)
        return self.evaluator.state.metrics["accuracy"]


def main():
    manual_seed(6)
    images = torch.randn(240, 16)
    labels = images[:, :4].argmax(1)
    training = DataLoader(TensorDataset(images[:160], labels[:160]), batch_size=8, shuffle=True)
    validation = DataLoader(TensorDataset(images[160:], labels[160:]), batch_size=20)
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Dropout(0.4), nn.Linear(32, 4))
    print(Learner(model).fit(training, validation, epochs=3))


if __name__ == "__main__":
    main()
