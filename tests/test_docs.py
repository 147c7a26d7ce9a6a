"""What the documents say is what the tool does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import score
from corpus import crashes
from torchmedic.rules import RULES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
DOCUMENTS = sorted(
    path
    for folder in (ROOT, ROOT / "docs", ROOT / "examples", ROOT / "benchmarks")
    for path in folder.glob("*.md")
)
BLOCK = re.compile(r"```text\n(error\[.*?)```", re.S)
COMMAND = re.compile(r"^\$ torchmedic run (\S+)$", re.M)
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
VERDICT = re.compile(r"^ +(?:not )?verified\b.*$", re.M)


def environment() -> dict[str, str]:
    kept = {
        k: v for k, v in os.environ.items() if k not in ("LANG", "LC_ALL", "LC_MESSAGES", "COLUMNS")
    }
    return {**kept, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "utf-8"}


def report_of(output: str) -> str:
    """The report without the line that says whether the fix was executed."""
    start = re.search(r"^error\[", output, re.M)
    assert start, f"no report in:\n{output}"
    return VERDICT.sub("<verdict>", output[start.start() :]).rstrip()


def test_the_report_in_the_readme_is_what_the_example_gives():
    shown, command = BLOCK.search(README), COMMAND.search(README)
    assert shown and command
    done = subprocess.run(
        [sys.executable, "-m", "torchmedic", "run", "--no-verify", command[1]],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        encoding="utf-8",
    )
    assert report_of(shown[1]) == report_of(done.stderr)


@pytest.mark.parametrize("document", score.DOCUMENTS, ids=lambda path: path.name)
def test_the_score_is_what_the_tests_prove(document: Path):
    """`test_crashes.py` fails for each miss that isn't listed, and for each listed one that is none."""
    proven = score.table(map(score.listed, crashes()))
    stale = "python tests/score.py --listed --write"
    assert score.in_document(document).strip() == proven, stale


def test_the_report_in_the_readme_shows_a_verified_fix():
    shown = BLOCK.search(README)
    assert shown and re.search(r"^ +verified: ", shown[1], re.M)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path):
    links = LINK.findall(document.read_text("utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_the_readme_names_rules_as_they_are():
    named = dict(re.findall(r"^\| (TM\d{3}) \| `([a-z-]+)` \|", README, re.M))
    assert len(named) >= 8
    assert named == {code: RULES[code].name for code in named if code in RULES}


def test_options_in_the_readme_exist():
    done = subprocess.run(
        [sys.executable, "-m", "torchmedic", "run", "--help"],
        env=environment(),
        capture_output=True,
        encoding="utf-8",
    )
    table = README.split("### `torchmedic explain`")[0].split("| Option |")[1]
    options = re.findall(r"--[a-z][a-z-]*", table)
    assert len(options) >= 8
    assert [option for option in options if option not in done.stdout] == []


def test_options_in_the_documents_of_check_exist():
    done = subprocess.run(
        [sys.executable, "-m", "torchmedic", "check", "--help"],
        env=environment(),
        capture_output=True,
        encoding="utf-8",
    )
    known = set(re.findall(r"--[a-z][a-z-]*", done.stdout)) - {"--help"}
    page = (ROOT / "docs/check.md").read_text("utf-8")
    hook = (ROOT / ".pre-commit-hooks.yaml").read_text("utf-8")
    used = set(re.findall(r"--[a-z][a-z-]*", page + hook))
    assert len(known) >= 15
    assert used - known == set()
    assert known - used - {"--lang"} == set()


def test_requirements_are_exact():
    lines = [
        line
        for name in ("demo", "test")
        for line in (ROOT / "requirements" / f"{name}.txt").read_text("utf-8").splitlines()
        if line and not line.startswith(("#", "-r "))
    ]
    exact = re.compile(r"[\w.-]+==[\w.]+(; python_version [<>]=? \"3\.11\")?")
    assert [line for line in lines if not exact.fullmatch(line)] == []
    assert "torch==2.13.0" in lines
