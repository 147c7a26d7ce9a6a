"""Pasted texts: recorded tracebacks find their rule and the user's line; unrelated ones find nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from corpus import environment
from misses import LISTED, judge, missed
from torchmedic.engine import diagnose
from torchmedic.observed.text import failure_from_text
from torchmedic.rules import RULES

TEXTS = Path(__file__).parent / "texts"
INDEX = TEXTS / "known" / "index.json"
KNOWN = json.loads(INDEX.read_text("utf-8")) if INDEX.is_file() else []
UNRELATED = sorted((TEXTS / "unrelated").glob("**/*.txt"))
FIRST_OF_EACH = list({entry["code"]: entry for entry in reversed(KNOWN)}.values())
CRASH_CODES = ("TM101", "TM102", "TM103", "TM104", "TM201", "TM202", "TM301", "TM303")

every_known = pytest.mark.parametrize("entry", KNOWN, ids=lambda e: e["file"])


def read(path: Path) -> str:
    """As a terminal or a web page gives it: undecodable bytes do not hide the rest."""
    return path.read_bytes().decode("utf-8", "replace")


def test_enough_was_recorded():
    assert len(KNOWN) == len({e["file"] for e in KNOWN}) >= 80
    assert len(UNRELATED) >= 100
    assert {e["code"] for e in KNOWN} >= set(CRASH_CODES)
    on_disk = {p.relative_to(TEXTS / "known").as_posix() for p in INDEX.parent.rglob("*.txt")}
    assert on_disk == {e["file"] for e in KNOWN}


def test_what_is_missed_is_there():
    names = {f"texts/{entry['file']}" for entry in KNOWN}
    for name, miss in LISTED.items():
        if name.startswith("texts/"):
            assert name in names and miss["why"].strip(), name
            assert missed(name) and missed(name) <= {"rule", "place"}, name


@every_known
def test_the_rule_answers(entry):
    failure = failure_from_text(read(INDEX.parent / entry["file"]))
    codes = [d.rule.code for d in diagnose(failure)] if failure else []
    problem = "" if codes[:1] == [entry["code"]] else f"{codes} answer, not {entry['code']}"
    judge(f"texts/{entry['file']}", "rule", problem)


@every_known
def test_the_users_line_is_found(entry):
    failure = failure_from_text(read(INDEX.parent / entry["file"]))
    links = [failure, *failure.causes] if failure else []
    frames = [link.user_frame for link in links] or [None]
    found = [(frame.at.path, frame.at.line) if frame else (None, None) for frame in frames]
    wanted = (entry.get("user_path"), entry.get("user_line"))
    judge(f"texts/{entry['file']}", "place", "" if wanted in found else f"{found}, not {wanted}")


@pytest.mark.parametrize("path", UNRELATED, ids=lambda p: p.stem)
def test_an_unrelated_text_gets_no_rule(path):
    failure = failure_from_text(read(path))
    assert failure is None or [d.rule.code for d in diagnose(failure)] == []


@pytest.fixture(scope="module")
def without_torch(tmp_path_factory) -> Path:
    """A folder in front of the import path, where torch and NumPy exist and can't be imported unnoticed."""
    folder = tmp_path_factory.mktemp("poisoned")
    for name in ("torch", "numpy"):
        (folder / f"{name}.py").write_text(
            f"import os\nos.write(2, b'{name} imported')\nos._exit(77)\n"
        )
    return folder


def explained(path: Path, way: str, without_torch: Path) -> subprocess.CompletedProcess[str]:
    environ = environment()
    environ["PYTHONPATH"] = f"{without_torch}:{environ['PYTHONPATH']}"
    words = {"file": [str(path)], "stdin": ["-"], "json": ["--format", "json", "-"]}[way]
    return subprocess.run(
        [sys.executable, "-m", "torchmedic", "explain", *words],
        input=read(path),
        env=environ,
        cwd=path.parent,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )


@pytest.mark.parametrize("way", ["file", "stdin", "json"])
@pytest.mark.parametrize(
    "entry", [e for e in FIRST_OF_EACH if e["code"] in RULES], ids=lambda e: e["code"]
)
def test_explain_answers_without_torch(entry, way, without_torch):
    name = f"texts/{entry['file']}"
    if "rule" in missed(name):
        pytest.xfail(LISTED[name]["why"])
    done = explained(INDEX.parent / entry["file"], way, without_torch)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    if way == "json":
        assert json.loads(done.stdout)["diagnoses"][0]["code"] == entry["code"]
    else:
        assert entry["code"] in done.stdout


@pytest.mark.parametrize("way", ["file", "stdin", "json"])
@pytest.mark.parametrize("path", UNRELATED[::25], ids=lambda p: p.stem)
def test_explain_knows_nothing_of_unrelated_texts(path, way, without_torch):
    done = explained(path, way, without_torch)
    assert done.returncode == 1 and done.stderr == "", done.stderr
    if way == "json":
        report = json.loads(done.stdout)
        assert report["diagnoses"] == [] and report["notes"]
    else:
        assert "no known mistake" in done.stdout or "no error message" in done.stdout
