"""Programs in unlike styles that forget a seed, and their twins that don't: line by line, and each one runs."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from programs import execute as execute_program
from torchmedic.abstract import execute
from torchmedic.engine import diagnose
from torchmedic.fix.patch import apply_edits
from torchmedic.observed import Source, load

ROOT = Path(__file__).parent.parent
TWINS = sorted(p.parent for p in (ROOT / "tests/source/random-seed-not-set").glob("*/expect.json"))
every_twin = pytest.mark.parametrize("twin", TWINS, ids=lambda p: p.name)


def expected(twin):
    return json.loads((twin / "expect.json").read_text("utf-8"))


def seen(path, text=None):
    source = Source(text, str(path)) if text is not None else load(str(path))
    return diagnose(execute(source))


def test_there_are_enough():
    assert len(TWINS) >= 12


@every_twin
def test_bad_is_seen_at_its_line(twin):
    expect = expected(twin)
    path = twin / "bad" / expect["path"]
    [diagnosis] = seen(path)
    assert diagnosis.rule.code == expect["code"]
    assert Path(diagnosis.at.path) == path
    lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    assert lines.count(expect["line"]) == 1
    assert lines[diagnosis.at.line - 1] == expect["line"]


@every_twin
def test_every_fix_mends_it(twin):
    path = twin / "bad" / expected(twin)["path"]
    [diagnosis] = seen(path)
    assert diagnosis.fixes
    for fix in diagnosis.fixes:
        mended = apply_edits(path.read_text("utf-8"), fix.edits)
        ast.parse(mended)
        assert seen(path, mended) == []


@every_twin
def test_good_shows_nothing(twin):
    assert seen(twin / "good" / expected(twin)["path"]) == []


@every_twin
def test_both_run_and_good_prints_the_same_twice(twin):
    """Each in a process of its own that holds torch already: what differs is what they draw."""
    path = expected(twin)["path"]
    *same, bad = [execute_program(path, cwd=twin / kind) for kind in ("good", "good", "bad")]
    assert bad.status == 0, bad.stderr
    assert same[0].status == 0 and same[0].stdout == same[1].stdout, same[0].stderr
