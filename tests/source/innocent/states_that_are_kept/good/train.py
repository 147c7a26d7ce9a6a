"""State dicts that are kept and loaded, each in a way that is right."""

import io

import torch
from torch import nn

torch.manual_seed(0)
inputs = torch.randn(48, 5)
targets = inputs.sum(dim=1, keepdim=True)
EPOCHS = 6


def made():
    model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 1))
    return model, torch.optim.SGD(model.parameters(), lr=0.05)


def trained(model, optimizer):
    loss = nn.functional.mse_loss(model(inputs), targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def the_last_one():
    model, optimizer = made()
    kept = None
    for epoch in range(EPOCHS):
        trained(model, optimizer)
        if epoch == EPOCHS - 1:
            kept = model.state_dict()
    model.load_state_dict(kept)


def the_last_one_by_its_number():
    model, optimizer = made()
    kept = None
    for epoch in range(EPOCHS):
        trained(model, optimizer)
        if epoch >= EPOCHS - 1:
            kept = model.state_dict()
    model.load_state_dict(kept)


def good_enough(limit=5.0):
    model, optimizer = made()
    kept = None
    for epoch in range(EPOCHS):
        if trained(model, optimizer) < limit:
            kept = model.state_dict()
            break
    if kept is not None:
        model.load_state_dict(kept)


def copied_tensor_by_tensor():
    model, optimizer = made()
    lowest, kept = float("inf"), None
    for epoch in range(EPOCHS):
        loss = trained(model, optimizer)
        if loss < lowest:
            lowest = loss
            kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.load_state_dict(kept)


def some_of_it_from_elsewhere(other):
    model, optimizer = made()
    state = model.state_dict()
    trained(model, optimizer)
    state.update({name: tensor for name, tensor in other.items() if name.startswith("0.")})
    model.load_state_dict(state)
    return model.state_dict()


def through_a_file():
    model, optimizer = made()
    lowest, file = float("inf"), io.BytesIO()
    for epoch in range(EPOCHS):
        loss = trained(model, optimizer)
        if loss < lowest:
            lowest = loss
            file = io.BytesIO()
            torch.save(model.state_dict(), file)
    file.seek(0)
    kept = torch.load(file)
    model.load_state_dict(kept)


def another_model_each_time():
    kept = None
    for attempt in range(2):
        model, optimizer = made()
        for epoch in range(EPOCHS):
            trained(model, optimizer)
        if kept is not None:
            model.load_state_dict(kept)
        kept = model.state_dict()


the_last_one()
the_last_one_by_its_number()
good_enough()
copied_tensor_by_tensor()
some_of_it_from_elsewhere(made()[0].state_dict())
through_a_file()
another_model_each_time()
