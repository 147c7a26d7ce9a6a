"""The verdicts on other people's programs. `TORCHMEDIC_CORPUS=FOLDER` compares them with what is found today."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
CORPUS = os.environ.get("TORCHMEDIC_CORPUS", "")


def rows(name: str) -> list[dict[str, str]]:
    with (TESTS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_every_verdict_is_of_a_known_repository_and_says_why():
    repositories = {row["repo"] for row in rows("corpus.tsv")}
    verdicts = rows("verdicts.tsv")
    places = {(v["repository"], v["file"], v["line"], v["code"]) for v in verdicts}
    assert len(places) == len(verdicts) >= 30
    for verdict in verdicts:
        assert verdict["repository"] in repositories
        assert verdict["verdict"] in ("true", "false")
        assert len(verdict["why"].split()) >= 6


@pytest.mark.skipif(not CORPUS, reason="TORCHMEDIC_CORPUS names no folder")
def test_what_is_found_today_has_its_verdict():
    script = TESTS.parent / "tools" / "corpus.py"
    done = subprocess.run(
        [sys.executable, str(script), "score", CORPUS], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
