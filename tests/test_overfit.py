"""`run --overfit N`: one batch, trained on again and again on a copy. The program itself stays what it is."""

from __future__ import annotations

import math
from pathlib import Path
from textwrap import dedent

import pytest

from programs import _execute, forked
from torchmedic import overfit, silent
from torchmedic.model import LANGS
from torchmedic.observed.run_training import OverfitRun

PROGRAM = """
import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(64, 6)
y = (x[:, 0] > 0).long()
model = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 2))
optimizer = torch.optim.{optimizer}
for step in range(12):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy({output}, y)
    loss.backward()
    optimizer.step()
print([p.sum().item() for p in model.state_dict().values()], loss.item(), torch.rand(2).tolist())
"""


def run(folder: Path, optimizer: str, output: str = "model(x)", steps: int = 60):
    (folder / "train.py").write_text(dedent(PROGRAM).format(optimizer=optimizer, output=output))

    def work():
        made = silent.observer
        silent.observer = lambda: made(steps)
        try:
            return _execute(("train.py",), folder)
        finally:
            silent.observer = made

    import torch  # noqa: F401

    outcome = forked(work)
    assert outcome.status == 0 and outcome.failure is None, outcome.stderr
    return outcome


def said(outcome, folder: Path) -> str:
    text = overfit.told(outcome.run.overfit, str(folder))
    assert all("{" not in text.show(lang) for lang in LANGS)
    return text.show("en")


def test_a_model_that_can_learn(tmp_path):
    outcome = run(tmp_path, "Adam(model.parameters(), lr=0.01)")
    seen = outcome.run.overfit
    assert len(seen.losses) == 60 and seen.losses[-1] < 0.5 * seen.losses[0] and not seen.others
    assert "fell from" in said(outcome, tmp_path) and "train.py:12" in said(outcome, tmp_path)


def test_a_learning_rate_that_is_too_small(tmp_path):
    outcome = run(tmp_path, "SGD(model.parameters(), lr=1e-7)")
    seen = outcome.run.overfit
    assert seen.rates == (1e-7,) and seen.others[-1] < 0.5 * seen.others[0]
    assert "look at the learning rate" in said(outcome, tmp_path)


def test_a_warm_up_begins_with_a_rate_of_nothing(tmp_path):
    """The rate that the scheduler starts from is tried, not that of its first step."""
    warm_up = "torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, step / 50))"
    outcome = run(tmp_path, f"Adam(model.parameters(), lr=0.01)\nschedule = {warm_up}")
    seen = outcome.run.overfit
    assert seen.rates == (0.01,) and not seen.others
    assert "fell from" in said(outcome, tmp_path)


def test_a_loss_that_cannot_fall(tmp_path):
    """The graph is cut: only the last layer's bias could learn, and the optimizer doesn't hold it."""
    outcome = run(tmp_path, "SGD(model[0].parameters(), lr=0.1)", "model(x.mul(0))")
    assert "does not fall" in said(outcome, tmp_path) or "fell only" in said(outcome, tmp_path)


def test_a_loss_that_is_computed_otherwise(tmp_path):
    outcome = run(tmp_path, "SGD(model.parameters(), lr=0.1)", "2 * model(x)")
    assert outcome.run.overfit.why == "loss-unknown"
    assert "not tried" in said(outcome, tmp_path)


def test_the_program_computes_the_same(tmp_path):
    optimizer = "SGD(model.parameters(), lr=0.1, momentum=0.9)"
    with_it, without = run(tmp_path, optimizer), run(tmp_path, optimizer, steps=0)
    assert without.run.overfit is None
    assert with_it.stdout == without.stdout
    steps = [one.steps for one in with_it.run.optimizers]
    assert steps == [12], "the steps of the copy are none of the program's"


@pytest.mark.parametrize(
    ("losses", "others", "words"),
    [
        ((2.0, 0.5), (), "fell from 2 to 0.5"),
        ((2.0, 1.9), (2.0, 0.1), "look at the learning rate"),
        ((2.0, 1.9), (2.0, 1.8), "fell only"),
        ((2.0, 2.0), (2.0, 2.0), "does not fall"),
        ((2.0, math.nan), (2.0, math.nan), "does not fall"),
    ],
)
def test_what_is_said(losses, others, words):
    from torchmedic.model import Span
    from torchmedic.observed import Site

    seen = OverfitRun((Site(Span("train.py", 3)),), "SGD", (0.1,), losses, others)
    assert words in overfit.told(seen, ".").show("en")
    assert overfit.told(seen, ".").show("ko")
