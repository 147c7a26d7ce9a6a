"""Heights from measurements; the update step is the program's, the loop is ignite's."""

import torch
from ignite.engine import Engine, Events
from ignite.metrics import RunningAverage
from ignite.utils import manual_seed
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

manual_seed(2)
measured = torch.randn(200, 3)
heights = measured @ torch.tensor([1.0, -2.0, 0.5])
loader = DataLoader(TensorDataset(measured, heights), batch_size=10, shuffle=True)

model = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
criterion = nn.MSELoss()


def update(engine, batch):
    model.train()
    inputs, targets = batch
    optimizer.zero_grad()
    predicted = model(inputs)
    loss = criterion(predicted, targets)
    loss.backward()
    optimizer.step()
    return loss.item()


trainer = Engine(update)
RunningAverage(output_transform=lambda loss: loss).attach(trainer, "loss")


@trainer.on(Events.EPOCH_COMPLETED)
def show(engine):
    print(engine.state.epoch, engine.state.metrics["loss"])


trainer.run(loader, max_epochs=3)
