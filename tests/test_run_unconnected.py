"""Losses that are no more than a number: what is noted of their backward passes, and where their graph was cut."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import dedent, indent

import pytest
import torch
from torch import nn

from programs import execute
from torchmedic.abstract import execute as execute_abstractly
from torchmedic.engine import diagnose
from torchmedic.observed import Source
from torchmedic.observed.run_memory import Unconnected
from torchmedic.probes.observer.hooks import Observer
from torchmedic.probes.observer.unconnected import Backwards
from torchmedic.probes.record import Recorder
from torchmedic.silent import found_in


@pytest.fixture
def watched() -> Iterator[Observer]:
    observer = Observer(lambda now: [Backwards(now)])
    recorder = Recorder(observer)
    recorder.install()
    yield observer
    recorder.uninstall()
    assert observer.error is None


def train(loss_of, steps: int = 5, extra=()) -> None:
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD([*model.parameters(), *extra], lr=0.1)
    for step in range(steps):
        optimizer.zero_grad()
        loss_of(model, step).backward()
        optimizer.step()


def real(model, step):
    return model(torch.ones(2, 3)).mean()


def noted(observer: Observer) -> tuple[Unconnected, ...]:
    return tuple(one._replace(by=()) for one in observer.read().unconnected)


@pytest.mark.parametrize(
    "loss_of",
    [
        lambda model, step: torch.tensor(real(model, step).item(), requires_grad=True),
        lambda model, step: real(model, step).detach().requires_grad_(),
        lambda model, step: torch.tensor(real(model, step).item(), requires_grad=True) / 4,
        lambda model, step: torch.tensor([1.0, 2.0], requires_grad=True).mean(),
    ],
    ids=["number", "detached", "divided", "list"],
)
def test_a_number_that_requires_a_gradient_is_noted(watched, loss_of):
    train(loss_of)
    assert noted(watched) == (Unconnected((), leaves=5, steps=5),)


def test_long_runs_are_counted_in_windows(watched):
    train(lambda model, step: torch.tensor(1.0, requires_grad=True), 400)
    [found] = noted(watched)
    assert 32 <= found.steps < 100 and not found.fed and not found.others


def test_a_loss_with_a_graph_is_not(watched):
    train(real)
    assert noted(watched) == ()


def test_now_and_then_a_zero_without_a_graph_is_told_apart(watched):
    train(lambda m, step: real(m, step) if step else torch.zeros((), requires_grad=True))
    [found] = noted(watched)
    assert (found.leaves, found.others, found.fed) == (1, 4, 4)


def test_a_leaf_that_is_optimized_is_fed(watched):
    price = torch.tensor(1.0, requires_grad=True)
    train(lambda model, step: price * 2, extra=[price])
    [found] = noted(watched)
    assert found.fed == 5 and not found.steps


def test_what_is_refused_is_noted(watched):
    with pytest.raises(RuntimeError):
        torch.tensor(1.0).backward()
    assert noted(watched) == (Unconnected((), refused=1),)


PROGRAM = """
import torch
from torch import nn

torch.manual_seed(0)
inputs = torch.randn(32, 4)
wanted = inputs.sum(dim=1, keepdim=True)
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(6):
    optimizer.zero_grad()
{body}
    loss.backward()
    optimizer.step()
"""
CUTS = {
    "item": """
        loss = nn.functional.mse_loss(model(inputs), wanted)
        loss = torch.tensor(loss.item(), requires_grad=True)
        """,
    "detach": """
        loss = nn.functional.mse_loss(model(inputs), wanted).detach().requires_grad_()
        """,
    "argmax": """
        wrong = (model(inputs).argmax(dim=1) != wanted[:, 0]).float()
        loss = torch.autograd.Variable(wrong.mean(), requires_grad=True)
        """,
    "no_grad": """
        with torch.no_grad():
            output = model(inputs)
        loss = nn.functional.mse_loss(output, wanted).requires_grad_()
        """,
    "data": """
        output = model(inputs).data
        loss = (output - wanted).square().mean()
        loss.requires_grad_()
        """,
}


@pytest.mark.parametrize("name", CUTS)
def test_run_and_source_agree_on_the_silent_form(name, tmp_path):
    text = PROGRAM.format(body=indent(dedent(CUTS[name]).strip(), "    "))
    (tmp_path / "train.py").write_text(text, encoding="utf-8")

    def reraise(rule, error):
        raise error

    outcome = execute("train.py", cwd=tmp_path)
    assert outcome.status == 0, outcome.stderr
    [in_run] = found_in(outcome.run, reraise)
    [in_source] = diagnose(execute_abstractly(Source(text, str(tmp_path / "train.py"))))
    assert in_run.rule.code == "TM311" and in_run.at == in_source.at
    assert in_run.facts == in_source.facts
    assert in_run.title("en") == in_source.title("en")
    assert in_run.fixes == in_source.fixes


CAUGHT = """
import contextlib
import torch
from torch import nn

model = nn.Linear(4, 1)
loss = model(torch.ones(2, 4)).detach().mean()
try:
    loss.backward()
except RuntimeError as error:
    print(error)
with contextlib.suppress(RuntimeError):
    loss.backward()
"""


def test_what_the_program_expects_to_be_refused_is_not_told(tmp_path):
    (tmp_path / "train.py").write_text(CAUGHT, encoding="utf-8")
    outcome = execute("train.py", cwd=tmp_path)
    assert outcome.status == 0 and len(outcome.run.unconnected) == 2
    assert found_in(outcome.run, lambda rule, error: None) == ()
