"""What the tool is known to miss. The list may only shrink: a listed miss that is none any more is an error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

LISTED: dict[str, dict[str, str]] = json.loads(
    (Path(__file__).parent / "known_misses.json").read_text("utf-8")
)
PARTS = {"line", "fix", "rule", "place"}  # of a crash program: line, fix; of a text: rule, place


def missed(name: str) -> set[str]:
    """The parts of this program or text that are listed: `"what": "line, fix"`."""
    return set(LISTED.get(name, {}).get("what", "").replace(",", " ").split())


def judge(name: str, part: str, problem: str) -> None:
    """Fails for a problem that isn't listed, and for a listed one that isn't there."""
    if part not in missed(name):
        if problem:
            pytest.fail(problem, pytrace=False)
        return
    if not problem:
        pytest.fail(
            f"{name} is right by now: take its “{part}” off known_misses.json", pytrace=False
        )
    pytest.xfail(f"{LISTED[name]['why']} ({problem})")
