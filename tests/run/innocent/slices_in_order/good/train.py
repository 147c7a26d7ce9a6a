"""Slices in the order of the data, where that order is right: mixed classes, one long record, one step for all."""

import torch
from torch import nn

torch.manual_seed(1)
KINDS, BATCH = 3, 12


def readings(labels):
    return torch.randn(len(labels), 4) + labels.unsqueeze(1)


def in_slices(labels):
    for start in range(0, len(labels), BATCH):
        yield slice(start, start + BATCH)


def mixed_once(labels, epochs=3):
    order = torch.randperm(len(labels))
    labels = labels[order]
    inputs = readings(labels)
    model = nn.Linear(4, KINDS)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(epochs):
        for rows in in_slices(labels):
            loss = nn.functional.cross_entropy(model(inputs[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def one_long_record(labels, epochs=3):
    """What a machine does changes slowly, and the state goes on from slice to slice."""
    inputs = readings(labels)
    cell, head = nn.GRU(4, 8, batch_first=True), nn.Linear(8, KINDS)
    optimizer = torch.optim.Adam([*cell.parameters(), *head.parameters()], lr=0.01)
    for _ in range(epochs):
        state = torch.zeros(1, 1, 8)
        for rows in in_slices(labels):
            output, state = cell(inputs[rows].unsqueeze(0), state.detach())
            loss = nn.functional.cross_entropy(head(output[0]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def one_step_for_all(labels, epochs=4):
    inputs = readings(labels)
    model = nn.Linear(4, KINDS)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(epochs):
        optimizer.zero_grad()
        for rows in in_slices(labels):
            scores = model(inputs[rows])
            loss = nn.functional.cross_entropy(scores, labels[rows], reduction="sum") / len(labels)
            loss.backward()
        optimizer.step()


def measured_in_order(labels):
    inputs = readings(labels)
    model = nn.Linear(4, KINDS)
    with torch.no_grad():
        return sum(
            nn.functional.cross_entropy(model(inputs[rows]), labels[rows]).item()
            for rows in in_slices(labels)
        )


labels = torch.tensor([kind for kind in range(KINDS) for _ in range(48)])
one_step_for_all(labels)
one_long_record(labels)
mixed_once(labels)
print(round(measured_in_order(labels), 3), round(measured_in_order(labels), 3))
