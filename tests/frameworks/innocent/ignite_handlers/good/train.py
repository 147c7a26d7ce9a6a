"""Handlers of ignite: schedules before and after the update, a warm-up, averaged weights; then two networks in one update."""

import torch
from ignite.engine import (
    Engine,
    Events,
    create_supervised_evaluator,
    create_supervised_trainer,
)
from ignite.handlers import EMAHandler, LRScheduler, create_lr_scheduler_with_warmup
from ignite.metrics import Accuracy, RunningAverage
from ignite.utils import manual_seed
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def network(outputs=3):
    return nn.Sequential(
        nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, outputs)
    )


def averaged(training, validation):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    trainer = create_supervised_trainer(model, optimizer, nn.CrossEntropyLoss())
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.97)
    trainer.add_event_handler(Events.ITERATION_COMPLETED, LRScheduler(schedule))
    average = EMAHandler(model, momentum=0.1)
    average.attach(trainer)
    evaluators = [
        create_supervised_evaluator(evaluated, metrics={"accuracy": Accuracy()})
        for evaluated in (model, average.ema_model)
    ]

    @trainer.on(Events.EPOCH_COMPLETED | Events.STARTED)
    def evaluate(engine):
        for evaluator in evaluators:
            evaluator.run(validation)
            print(engine.state.epoch, evaluator.state.metrics)

    RunningAverage(output_transform=lambda loss: loss).attach(trainer, "loss")
    trainer.run(training, max_epochs=3)


def warmed_up(training):
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    trainer = create_supervised_trainer(model, optimizer, nn.CrossEntropyLoss())
    steps = torch.optim.lr_scheduler.StepLR(optimizer, 5)
    schedule = create_lr_scheduler_with_warmup(steps, 0.0, 10)
    trainer.add_event_handler(Events.ITERATION_STARTED, schedule)
    trainer.run(training, max_epochs=2)


def adversarial(training):
    generator, critic = network(4), network(1)
    for_generator = torch.optim.Adam(generator.parameters())
    for_critic = torch.optim.Adam(critic.parameters())
    criterion = nn.BCEWithLogitsLoss()

    def update(engine, batch):
        real, _ = batch
        ones, zeros = torch.ones(len(real), 1), torch.zeros(len(real), 1)
        critic.zero_grad()
        criterion(critic(real), ones).backward()
        fake = generator(torch.randn(len(real), 4))
        criterion(critic(fake.detach()), zeros).backward()
        for_critic.step()
        generator.zero_grad()
        loss = criterion(critic(fake), ones)
        loss.backward()
        for_generator.step()
        return loss.item()

    Engine(update).run(training, max_epochs=3)


manual_seed(8)
inputs = torch.randn(160, 4)
labels = (inputs.sum(1) > 0).long() + (inputs[:, 0] > 1).long()
training = DataLoader(TensorDataset(inputs, labels), batch_size=8, shuffle=True)
averaged(training, DataLoader(TensorDataset(inputs, labels), batch_size=40))
warmed_up(training)
adversarial(training)
