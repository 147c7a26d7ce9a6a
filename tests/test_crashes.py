"""The end-to-end corpus: of each program, the line to change, and a verified fix that makes it run."""

from __future__ import annotations

from collections import Counter

import pytest

from corpus import Crash, crashes, fix_problem, numbers_of, verdict_on_line
from misses import LISTED, PARTS, judge, missed
from torchmedic.rules import RULES

PROGRAMS = crashes()
every = pytest.mark.parametrize("crash", PROGRAMS, ids=lambda c: c.name)
fixable = pytest.mark.parametrize("crash", [c for c in PROGRAMS if c.has_fix], ids=lambda c: c.name)


def test_the_corpus_is_large_enough():
    counts = Counter(crash.mistake for crash in PROGRAMS)
    assert len(PROGRAMS) >= 40
    assert len(counts) >= 8 and min(counts.values()) >= 3, counts


@every
def test_what_the_corpus_expects_is_there(crash: Crash):
    for place in crash.places:
        assert len(numbers_of(place, crash.folder)) == 1, place
    rule = RULES.get(crash.code)
    assert rule is None or rule.name == crash.mistake


def test_what_is_missed_is_there():
    names = {crash.name: crash for crash in PROGRAMS}
    for name, miss in LISTED.items():
        if name.startswith("texts/"):
            continue  # test_texts.py
        assert name in names, name
        assert missed(name) and missed(name) <= PARTS & {"line", "fix"}, name
        assert "fix" not in missed(name) or names[name].has_fix, name
        assert miss["why"].strip(), name


@every
def test_the_line_to_change(crash: Crash, tmp_path):
    verdict = verdict_on_line(crash, crash.copy_to(tmp_path / "program"))
    judge(crash.name, "line", verdict.problem)


@fixable
@pytest.mark.trials
def test_the_verified_fix_makes_it_run(crash: Crash, tmp_path):
    judge(crash.name, "fix", fix_problem(crash, crash.copy_to(tmp_path / "program")))
