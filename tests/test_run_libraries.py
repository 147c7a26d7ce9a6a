"""A loop that a library owns: what is told of the program's part of it. The library is a small one, made here."""

from __future__ import annotations

import functools
import gc
import inspect
import os
import sys
import weakref
from textwrap import dedent

import pytest
import torch
from observing import diagnosed

import torchmedic

LIBRARY = """
class Loop:
    def __init__(self, passes=3, rates=()):
        self.passes = passes
        self.rates = rates

    def fit(self, model, loader):
        optimizer = model.optimizer()
        for number in range(self.passes):
            for batch in loader:
                self.step(model, optimizer, batch)
            for group in optimizer.param_groups:
                group["lr"] = self.rates[number] if self.rates else group["lr"]
            model.pass_ended()

    def step(self, model, optimizer, batch):
        def closure():
            loss = model.training_step(batch)
            optimizer.zero_grad()
            loss.backward()
            return loss

        closure()
        optimizer.step()


class Wrapped:
    def __init__(self, optimizer):
        self.optimizer = optimizer

    def step(self, *words):
        self.optimizer.step()

    def zero_grad(self):
        self.optimizer.zero_grad()
"""
PROGRAM = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from loops import Loop


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.Tanh())
        self.heads = HEADS
        self.losses = []
        self.total = 0.0

    def training_step(self, batch):
        inputs, targets = batch
        hidden = self.body(inputs)
        outputs = sum(head(hidden) for head in self.heads)
        loss = nn.functional.mse_loss(outputs, targets)
        STEP
        return loss

    def pass_ended(self):
        ENDED

    def optimizer(self):
        return torch.optim.SGD(self.parameters(), lr=RATE)


torch.manual_seed(0)
inputs = torch.randn(160, 4)
data = TensorDataset(inputs, inputs.sum(1, keepdim=True))
LOOP.fit(Net(), DataLoader(data, batch_size=8, shuffle=True))
"""


@pytest.fixture
def found(tmp_path, monkeypatch):
    """The findings of a program beside which the library is installed, as (code, line)."""
    library = tmp_path / "site-packages" / "loops.py"
    library.parent.mkdir()
    library.write_text(LIBRARY, "utf-8")
    monkeypatch.syspath_prepend(str(library.parent))
    monkeypatch.delitem(sys.modules, "loops", raising=False)
    path = tmp_path / "train.py"

    def look(text):
        path.write_text(dedent(text), "utf-8")
        lines = path.read_text("utf-8").splitlines()
        found = diagnosed(path)
        assert all(d.at.path == str(path) for d in found)
        return [(d.rule.code, lines[d.at.line - 1].strip(), d.title("en")) for d in found]

    yield look
    sys.modules.pop("loops", None)


def program(step="pass", ended="pass", heads=None, rate="0.01", loop="Loop()"):
    text = PROGRAM.replace("STEP", step).replace("ENDED", ended).replace("RATE", rate)
    heads = heads or "nn.ModuleList([nn.Linear(8, 1), nn.Linear(8, 1)])"
    return text.replace("HEADS", heads).replace("LOOP", loop)


def test_a_right_program_is_not_told(found):
    assert found(program()) == []


@pytest.mark.parametrize(
    ("step", "name"),
    [
        ("self.losses.append(loss)", "self.losses"),
        ("self.losses.append((loss, inputs))", "self.losses"),
        ("self.total += loss", "self.total"),
        ("self.total = self.total + loss", "self.total"),
    ],
)
def test_what_a_method_keeps_that_a_library_calls(found, step, name):
    title = f"`{name}` keeps the graph of every call of `training_step` alive"
    assert found(program(step)) == [("TM302", step, title)]


@pytest.mark.parametrize(
    ("step", "ended"),
    [
        ("self.losses.append(loss)", "self.losses.clear()"),
        ("self.losses.append(loss)", "self.losses = []"),
        ("self.losses.append(loss)", "del self.losses[:]"),
        ("self.total += loss", "self.total = 0.0"),
        ("self.losses.append(loss.detach())", "pass"),
        ("self.losses.append(loss)", "self.losses.append(torch.zeros(()))"),  # which of the two?
        ("self.last = loss", "pass"),
    ],
)
def test_what_is_forgotten_after_a_pass_or_has_no_graph_is_not_told(found, step, ended):
    assert found(program(step, ended)) == []


def test_layers_in_a_list_of_a_module_that_nobody_calls(found):
    heads = "[nn.Linear(8, 1), nn.Linear(8, 1)]"
    [(code, line, _)] = found(program(heads=heads))
    assert (code, line) == ("TM328", f"self.heads = {heads}")


def test_frozen_layers_in_such_a_list_are_there_on_purpose(found):
    heads = "[nn.Linear(8, 1).requires_grad_(False) for _ in range(2)]"
    assert found(program(heads=heads)) == []


def straight(loop="Loop()"):
    text = program(rate="2.0", heads="nn.ModuleList([nn.Linear(4, 1)])", loop=loop)
    return text.replace("nn.Sequential(nn.Linear(4, 8), nn.Tanh())", "nn.Identity()")


def test_a_rate_of_the_programs_own_that_is_too_large(found):
    [(code, line, _)] = found(straight())
    assert (code, line) == ("TM342", "return torch.optim.SGD(self.parameters(), lr=2.0)")


def test_rates_that_the_library_tries_are_its_own(found):
    assert found(straight("Loop(3, (2.0, 2.0, 2.0))")) != []
    assert found(straight("Loop(3, (2.1, 2.2, 2.3))")) == []


def test_a_loss_that_is_not_finite_at_an_operation_of_the_program(found):
    log = "class Log(nn.Module):\n    def forward(self, inputs):\n        return torch.log(inputs)\n\n\n"
    text = program(heads="nn.ModuleList([nn.Sequential(nn.Linear(8, 1), Log())])")
    [(code, line, _)] = found(text.replace("class Net", log + "class Net"))
    assert (code, line) == ("TM341", "return torch.log(inputs)")


LOOP = """
import torch
from torch import nn

from loops import Wrapped

torch.manual_seed(0)
inputs = torch.randn(16, 4)
targets = inputs.sum(1, keepdim=True)
model = nn.Linear(4, 1)
optimizer = Wrapped(torch.optim.SGD(model.parameters(), lr=0.01))
for step in range(20):
    loss = nn.functional.mse_loss(model(inputs), targets)
    loss.backward()
    optimizer.step()
"""


def test_clearing_is_the_programs_duty_where_it_calls_step_itself(found):
    [(code, line, _)] = found(LOOP)
    assert (code, line) == ("TM402", "loss.backward()")
    assert found(LOOP + "    optimizer.zero_grad()\n") == []


def test_a_step_that_is_given_something_may_be_more_than_a_step(found):
    assert found(LOOP.replace("optimizer.step()", "optimizer.step(loss)")) == []


def test_models_are_watched_though_a_library_has_wrapped_compile(monkeypatch):
    original, wrapped = inspect.unwrap(torch.compile), torch.compile

    @functools.wraps(wrapped)
    def wrapper(*args, **kwargs):
        return wrapped(*args, **kwargs)

    monkeypatch.setattr(torch, "compile", wrapper)
    code = original.__code__
    model = torch.nn.Linear(2, 1)
    with torchmedic.watch(report=False) as seen:
        model(torch.randn(3, 2))
        assert original.__code__ is not code
        assert seen._session.observer.now.forwards == 1
        torch.compile(model, backend="eager")
        model(torch.randn(3, 2))
        assert seen._session.observer.now.forwards == 1  # from then on they are not seen
    assert original.__code__ is code


def test_nothing_stays_of_an_earlier_watch():
    def watched():
        model = torch.nn.Linear(2, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with torchmedic.watch(report=False) as seen:
            for _ in range(4):
                model(torch.randn(3, 2)).sum().backward()
                optimizer.step()
        assert seen._session.observer.now.steps == 4
        return weakref.ref(seen._session.observer)

    earlier, latest = watched(), watched()
    gc.collect()
    assert earlier() is None
    assert latest() is None or not latest().is_on


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_is_not_watched():
    with torchmedic.watch(report=False) as seen:
        observer = seen._session.observer
        child = os.fork()
        if child == 0:
            os._exit(3 if observer.is_on else 0)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert observer.is_on
