"""What is done with trials that failed: a second mistake is mended along with the first, and nothing is tried twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from corpus import VALIDATOR, ended
from torchmedic import mending
from torchmedic.fix.child import Goal, Launch
from torchmedic.fix.verify import Control, Outcome, Trial
from torchmedic.model import Diagnosis, Edit, Fix, Span, Text
from torchmedic.observed import Failure
from torchmedic.rules import RULES

SOURCE = "first = 1\nsecond = 2\nthird = 3\nfourth = 4\nfifth = 5\n"
TITLE = Text("make it float32", "float32 형식으로 만들기")
OTHER = Text("set the size", "크기 바꾸기")


class Stage:
    """Trials without processes: a copy passes if it has all of `needed` lines mended, else the next needed is told."""

    def __init__(self, path: Path, needed: list[int], offered: dict[int, tuple[Fix, ...]]) -> None:
        self.path, self.needed, self.offered = path, needed, offered
        self.tried: list[list[int]] = []

    def fix(self, *lines: int, title: Text = TITLE) -> Fix:
        edits = tuple(Edit(Span(str(self.path), n, 0, n, 0), "x = ") for n in lines)
        return Fix(edits, title)

    def try_fixes(self, launch, candidates, goal, limit, control=None):
        trials = []
        for fix in candidates:
            lines = [edit.span.line for edit in fix.edits]
            self.tried.append(lines)
            missing = [n for n in self.needed if n not in lines]
            next_failure = Failure(str(missing[0]), "") if missing else None
            outcome = Outcome.FAILED if missing else Outcome.PASSED
            trials.append(Trial(fix, outcome, Text("said", "말함"), next_failure, Control(None)))
        return tuple(trials)

    def diagnose(self, failure, on_error):
        return [diagnosis(self.offered.get(int(failure.type), ()))]


def diagnosis(fixes: tuple[Fix, ...]) -> Diagnosis:
    at = fixes[0].edits[0].span if fixes else None
    return Diagnosis(next(iter(RULES.values())), at, {}, (), fixes)


@pytest.fixture
def proven(tmp_path, monkeypatch):
    path = tmp_path / "program.py"
    path.write_text(SOURCE)

    def run(needed: list[int], offers: dict[int, list[tuple[int, ...]]], first: int = 1):
        stage = Stage(path, needed, {})
        stage.offered = {n: tuple(stage.fix(*o) for o in each) for n, each in offers.items()}
        monkeypatch.setattr(mending, "try_fixes", stage.try_fixes)
        monkeypatch.setattr(mending, "diagnose", stage.diagnose)
        goal = Goal(str(path), "", 1, "RuntimeError")
        found = mending.proven(diagnosis(stage.offered[first]), Launch((), "", ""), goal, 10.0)
        return stage, found

    return run


def lines_of(fix: Fix) -> list[int]:
    return [edit.span.line for edit in fix.edits]


def test_a_second_mistake_is_mended_with_the_first(proven) -> None:
    stage, found = proven([1, 2], {1: [(1,)], 2: [(2,)]})
    assert stage.tried == [[1], [1, 2]]
    assert [(lines_of(f), f.verified) for f in found.fixes] == [([1, 2], True)]
    assert found.fixes[0].title.en == "make it float32, in 2 places"
    assert found.fixes[0].title.ko == "float32 형식으로 만들기 (2곳)"
    assert found.fixes[0].diff.count("+x = ") == 2


def test_so_are_three_more(proven) -> None:
    stage, found = proven([1, 2, 3, 4], {n: [(n,)] for n in range(1, 6)})
    assert stage.tried == [[1], [1, 2], [1, 2, 3], [1, 2, 3, 4]]
    assert found.fixes[0].verified is True


def test_and_no_more_than_that(proven) -> None:
    stage, found = proven([1, 2, 3, 4, 5], {n: [(n,)] for n in range(1, 6)})
    assert max(map(len, stage.tried)) == 1 + mending.ROUNDS
    assert [(lines_of(f), f.verified) for f in found.fixes] == [([1], False)]


def test_the_same_mistake_again_is_no_second_one(proven) -> None:
    stage, found = proven([1, 9], {1: [(1,), (3,)], 9: [(1,), (3,)]})
    assert stage.tried == [[1], [3]]
    assert [lines_of(f) for f in found.fixes] == [[1], [3]]


def test_what_passed_alone_is_not_put_together(proven) -> None:
    stage, found = proven([3], {1: [(1,), (3,)], 3: [(3,)]})
    assert stage.tried == [[1], [3]]
    assert [(lines_of(f), f.verified) for f in found.fixes] == [([3], True), ([1], False)]


def test_no_combination_is_tried_twice(proven) -> None:
    stage, found = proven([1, 2, 9], {1: [(1,)], 2: [(2,)], 9: [(2,)]})
    assert stage.tried == [[1], [1, 2]]
    assert [lines_of(f) for f in found.fixes] == [[1]]


def test_different_mends_are_told_one_after_the_other() -> None:
    title = mending._together((TITLE, TITLE, OTHER, TITLE))
    assert title.en == "make it float32, in 2 places; then set the size; then make it float32"
    assert (
        title.ko
        == "float32 형식으로 만들기 (2곳), 그다음 크기 바꾸기, 그다음 float32 형식으로 만들기"
    )


SAME_LINE = """
import numpy as np
import torch
from torch import nn

left = torch.from_numpy(np.ones((6, 3)))
right = torch.from_numpy(np.ones((6, 4)))
ours, theirs = nn.Linear(3, 2), nn.Linear(4, 2)
optimizer = torch.optim.SGD([*ours.parameters(), *theirs.parameters()], lr=0.1)
for _ in range(2):
    loss = (ours(left) + theirs(right)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


@pytest.mark.trials
def test_two_inputs_that_fail_in_one_statement(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(SAME_LINE)
    words = ["-m", "torchmedic", "run", "--format", "json", "--output", "r.json", "program.py"]
    done = ended(words, tmp_path)
    assert done.returncode == 1, done.stderr
    report = json.loads((tmp_path / "r.json").read_text())
    VALIDATOR.validate(report)
    best = report["diagnoses"][0]["fixes"][0]
    assert best["verified"] is True
    assert sorted(edit["line"] for edit in best["edits"]) == [6, 7]
