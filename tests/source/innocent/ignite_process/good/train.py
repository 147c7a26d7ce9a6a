import torch
from ignite.engine import Engine, Events
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

model = nn.Sequential(nn.Linear(8, 32), nn.Dropout(0.1), nn.ReLU(), nn.Linear(32, 2))
optimizer = torch.optim.Adam(model.parameters())
loader = DataLoader(
    TensorDataset(torch.randn(64, 8), torch.randint(0, 2, (64,))), batch_size=16
)


def process_function(engine, batch):
    model.train()
    optimizer.zero_grad()
    x, y = batch
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    return loss.item()


def eval_function(engine, batch):
    model.eval()
    with torch.no_grad():
        x, y = batch
        return model(x), y


trainer, evaluator = Engine(process_function), Engine(eval_function)


@trainer.on(Events.EPOCH_COMPLETED)
def validate(engine):
    evaluator.run(loader)


trainer.run(loader, max_epochs=2)
