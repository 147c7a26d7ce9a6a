"""The crash programs, and what is to be said of each: which line, and which fix. Tests and the score share it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema

from programs import Outcome, execute
from torchmedic.engine import diagnose

TESTS = Path(__file__).parent
CRASHES = TESTS / "crashes"
SECONDS = 300  # for one whole `run`: the crash, the trials, and other tests beside it
SCHEMA = json.loads((TESTS.parent / "torchmedic/render/report.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


class Place(NamedTuple):
    """A line by its stripped text, which stands once in its file."""

    path: str
    line: str


@dataclass(frozen=True)
class Crash:
    """One program of the corpus. `places` are the right lines to change, the best first."""

    folder: Path
    code: str
    words: tuple[str, ...]
    places: tuple[Place, ...]
    error: str
    has_fix: bool

    @property
    def mistake(self) -> str:
        return self.folder.parent.name

    @property
    def name(self) -> str:
        return f"{self.mistake}/{self.folder.name}"

    def copy_to(self, folder: Path) -> Path:
        shutil.copytree(
            self.folder, folder, ignore=shutil.ignore_patterns("expect.json", "__pycache__")
        )
        return folder


def crashes() -> list[Crash]:
    return [_crash(path) for path in sorted(CRASHES.glob("*/*/expect.json"))]


def _crash(path: Path) -> Crash:
    told = json.loads(path.read_text("utf-8"))
    places = [told, *told["also"]]
    return Crash(
        path.parent,
        told["code"],
        tuple(told["run"]),
        tuple(Place(p["path"], p["line"]) for p in places),
        told["error"],
        told["one_right_fix"],
    )


def numbers_of(place: Place, folder: Path) -> list[int]:
    """The numbers of the lines that read like this: one, if the corpus is right."""
    lines = (folder / place.path).read_text("utf-8").splitlines()
    return [n for n, line in enumerate(lines, 1) if line.strip() == place.line.strip()]


def is_right_line(crash: Crash, folder: Path, path: str | None, line: int | None) -> bool:
    if path is None:
        return False
    found = os.path.realpath(folder / path)
    return any(
        found == os.path.realpath(folder / place.path) and [line] == numbers_of(place, folder)
        for place in crash.places
    )


def crashed(crash: Crash, folder: Path) -> Outcome:
    """The program as it fails. Raises AssertionError where it doesn't fail as the corpus says."""
    outcome = execute(*crash.words, cwd=folder)
    assert outcome.failure is not None, f"it ended with {outcome.status}:\n{outcome.stderr}"
    assert outcome.status == 1
    assert crash.error in outcome.stderr, outcome.stderr
    return outcome


class Verdict(NamedTuple):
    """What is wrong with a diagnosis; the problem is empty if rule and line are right."""

    is_rule_right: bool
    problem: str


def verdict_on_line(crash: Crash, folder: Path) -> Verdict:
    """Of the first diagnosis of the live crash, before any trial."""
    found = diagnose(crashed(crash, folder).failure)
    if not found:
        return Verdict(False, "no rule answers")
    first = found[0]
    if first.rule.code != crash.code:
        return Verdict(False, f"{first.rule.code} answers, not {crash.code}")
    if first.at is None:
        return Verdict(True, "no line")
    if not is_right_line(crash, folder, first.at.path, first.at.line):
        path = os.path.relpath(os.path.realpath(first.at.path), os.path.realpath(folder))
        return Verdict(True, f"points at {_line(folder, path, first.at.line)}")
    return Verdict(True, "")


def _line(folder: Path, path: str, number: int | None) -> str:
    lines = (folder / path).read_text("utf-8").splitlines() if (folder / path).is_file() else []
    text = lines[number - 1].strip() if number and number <= len(lines) else "?"
    return f"{path}:{number} `{text}`"


def environment(**more: str) -> dict[str, str]:
    """One's own, without what could change the language, the colours, or the program."""
    dropped = ("PYTHON", "LC_", "LANG", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "TORCHMEDIC")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
    ours = {"PYTHONPATH": str(TESTS.parent), "LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1"}
    return kept | ours | more


def ended(command: Sequence[str], cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """`python command…` in that folder; `more` are environment variables."""
    return subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=SECONDS,
    )


class Report(NamedTuple):
    """What the real command left behind."""

    status: int
    stderr: str
    json: dict[str, Any]


def reported(crash: Crash, folder: Path) -> Report:
    """The real command in that folder. Raises AssertionError where its contract is broken."""
    options = ("--format", "json", "--output", "report.json")
    done = ended(["-m", "torchmedic", "run", *options, *crash.words], folder)
    assert done.returncode == 1, done.stderr
    assert "torchmedic failed" not in done.stderr, done.stderr
    path = folder / "report.json"
    assert path.is_file(), done.stderr
    report = json.loads(path.read_text("utf-8"))
    VALIDATOR.validate(report)
    return Report(done.returncode, done.stderr, report)


def fix_problem(crash: Crash, folder: Path) -> str:
    """What the real command lacks of a verified fix that makes the program run; empty if nothing."""
    found = reported(crash, folder).json["diagnoses"]
    if not found or found[0]["code"] != crash.code:
        return f"{[d['code'] for d in found]} answer, not {crash.code}"
    first = found[0]
    if not first["fixes"]:
        return "no fix is proposed"
    best = first["fixes"][0]
    if best["verified"] is not True:
        return f"not verified: {best['title']} ({best['verification']})"
    if not is_right_line(crash, folder, first["path"], first["line"]):
        return f"points at {_line(folder, first['path'] or '', first['line'])}"
    apply(best["edits"], folder)
    done = ended(crash.words, folder)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["?"])[-1]
        return f"verified, but the mended program ends with {done.returncode}: {last}"
    return ""


def apply(edits: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """The edits of a report as any reader of the JSON would apply them."""
    for path in {edit["path"] for edit in edits}:
        text = (folder / path).read_bytes().decode("utf-8")
        starts = [0]
        for line in text.splitlines(keepends=True):
            starts.append(starts[-1] + len(line))
        spans = [
            (starts[e["line"] - 1] + e["column"], starts[e["end_line"] - 1] + e["end_column"], e)
            for e in edits
            if e["path"] == path
        ]
        for start, end, edit in sorted(spans, key=lambda s: s[:2], reverse=True):
            text = text[:start] + edit["text"] + text[end:]
        (folder / path).write_bytes(text.encode("utf-8"))
