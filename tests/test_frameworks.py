"""Lightning, transformers, accelerate and ignite: what they own is not told, what is the program's own is."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from observing import diagnosed, observe

from corpus import environment
from framework_fits import needs, quiet
from torchmedic.silent import found_in

HOME = Path(__file__).parent / "frameworks"
PROGRAMS = sorted(HOME.glob("*/*/*/train.py"))


def program(path: Path):
    name = "/".join(path.parts[-4:-1])
    return pytest.param(path, id=name, marks=needs(path.parts[-3].partition("_")[0]))


@pytest.fixture(autouse=True)
def _quiet():
    with quiet():
        yield


@pytest.mark.parametrize("path", [program(p) for p in PROGRAMS if p.parts[-2] == "bad"])
def test_what_is_the_programs_own_is_found_at_its_line(path):
    wanted = json.loads((path.parent.parent / "expect.json").read_text("utf-8"))
    lines = path.read_text("utf-8").splitlines()
    found = {
        (d.rule.code, Path(d.at.path).name, lines[d.at.line - 1].strip()) for d in diagnosed(path)
    }
    assert found == {(wanted["code"], wanted["path"], wanted["line"])}


@pytest.mark.parametrize("path", [program(p) for p in PROGRAMS if p.parts[-2] == "good"])
def test_what_the_frameworks_own_is_not_told(path):
    def fail(rule, error):
        raise error

    run = observe(path).run
    assert run.steps >= 30 and run.forwards and run.rates
    assert [(d.rule.code, d.at) for d in found_in(run, fail)] == []


PLANNED = ("accelerate_spiral", "ignite_engines", "lightning_two_loaders", "transformers_letters")


@pytest.mark.parametrize(
    "path",
    [program(p) for p in PROGRAMS if p.parts[-3] in PLANNED and p.parts[-2] == "good"],
)
def test_programs_of_frameworks_are_planned(path, tmp_path):
    pytest.importorskip("resource")  # where it is, `os.fork` is
    shutil.copytree(path.parent, tmp_path / "program")
    done = subprocess.run(
        [sys.executable, "-m", "torchmedic", "plan", "--no-search", "--format", "json", path.name],
        cwd=tmp_path / "program",
        env=environment(),
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["allocated"] > 0 and found["by_category"]["parameters"] > 0


def test_every_framework_and_every_program_is_there():
    frameworks = {p.parts[-3].partition("_")[0] for p in PROGRAMS}
    assert frameworks == {"lightning", "transformers", "accelerate", "ignite"}
    assert len(PROGRAMS) == 34
