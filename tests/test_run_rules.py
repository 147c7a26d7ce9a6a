"""The laws of the Run view: `bad` shows its mistake while it is watched, `good` and the look-alikes show nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from programs import execute
from torchmedic.abstract import execute as execute_abstractly
from torchmedic.engine import diagnose
from torchmedic.observed import Source
from torchmedic.observed.run import Run
from torchmedic.observed.trace import Trace
from torchmedic.rules import RULES
from torchmedic.silent import found_in

rules = list(RULES.values())
# Forms of a mistake that only the source shows: the rule's `bad` is one of them. The list may only shrink.
NOT_SEEN_IN_RUN: set[str] = set()
watched = pytest.mark.parametrize(
    "rule",
    [r for r in rules if Run in r.detectors and r.name not in NOT_SEEN_IN_RUN],
    ids=lambda r: r.name,
)
silent = pytest.mark.parametrize("rule", [r for r in rules if not r.needs], ids=lambda r: r.name)


def watch(program: str, folder: Path):
    folder.mkdir(exist_ok=True)
    (folder / "train.py").write_text(program, encoding="utf-8")

    def reraise(rule, error):
        raise error

    return found_in(execute("train.py", cwd=folder).run, reraise)


@watched
def test_run_detector_sees_bad(rule, tmp_path):
    found = watch(rule.bad, tmp_path)
    assert [d.rule.code for d in found] == [rule.code]


@watched
def test_run_and_source_agree(rule, tmp_path):
    """The facts and the place that two detectors report on the same program are equal."""
    if Trace not in rule.detectors:
        pytest.skip("only the run shows it")
    [in_run] = watch(rule.bad, tmp_path)
    path = str(tmp_path / "train.py")
    [in_source] = diagnose(execute_abstractly(Source(rule.bad, path)))
    assert in_run.at and in_source.at and in_run.at.line == in_source.at.line
    assert (in_run.variant and in_run.variant.name) == (
        in_source.variant and in_source.variant.name
    )
    shared = in_run.facts.keys() & in_source.facts.keys()
    assert {k: in_run.facts[k] for k in shared} == {k: in_source.facts[k] for k in shared}
    for lang in ("en", "ko"):
        assert in_run.title(lang) == in_source.title(lang)


@pytest.mark.trials
@silent
def test_run_detectors_spare_good_and_innocent(rule, tmp_path):
    for program in (rule.good, *rule.innocent):
        assert [d.title("en") for d in watch(program, tmp_path)] == []
