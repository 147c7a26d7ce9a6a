"""Supervised engines of ignite, with a schedule and early stopping; then an update step of one's own."""

import torch
from ignite.engine import (
    Engine,
    Events,
    create_supervised_evaluator,
    create_supervised_trainer,
)
from ignite.handlers import EarlyStopping
from ignite.metrics import Accuracy, Loss
from ignite.utils import manual_seed
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def data():
    features = torch.randn(320, 10)
    labels = (features[:, :3].sum(1) > 0).long()
    whole = TensorDataset(features, labels)
    training, validation = torch.utils.data.random_split(whole, [240, 80])
    return DataLoader(training, batch_size=16, shuffle=True), DataLoader(validation, batch_size=16)


def network():
    return nn.Sequential(nn.Linear(10, 24), nn.ReLU(), nn.Dropout(0.2), nn.Linear(24, 2))


def supervised(training, validation):
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    criterion = nn.CrossEntropyLoss()
    trainer = create_supervised_trainer(model, optimizer, criterion, gradient_accumulation_steps=2)
    metrics = {"accuracy": Accuracy(), "loss": Loss(criterion)}
    evaluator = create_supervised_evaluator(model, metrics=metrics)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)

    @trainer.on(Events.EPOCH_COMPLETED)
    def validate(engine):
        schedule.step()
        evaluator.run(validation)
        print(engine.state.epoch, evaluator.state.metrics["accuracy"])

    stopping = EarlyStopping(3, lambda engine: -engine.state.metrics["loss"], trainer)
    evaluator.add_event_handler(Events.COMPLETED, stopping)
    trainer.run(training, max_epochs=4)


def by_hand(training, validation):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    def update(engine, batch):
        model.train()
        features, labels = batch
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(features), labels)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    def infer(engine, batch):
        model.eval()
        with torch.no_grad():
            features, labels = batch
            return model(features), labels

    trainer, evaluator = Engine(update), Engine(infer)
    Accuracy().attach(evaluator, "accuracy")
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda engine: evaluator.run(validation))
    trainer.run(training, max_epochs=3)
    print(evaluator.state.metrics["accuracy"])


manual_seed(3)
loaders = data()
supervised(*loaders)
by_hand(*loaders)
