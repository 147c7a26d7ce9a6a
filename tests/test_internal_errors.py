"""An error of ours never costs the user anything: Python's whole traceback, one line that we failed, the exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from corpus import environment

CRASH = """\
import torch
from torch import nn

net = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(32, 10))
print("before")
print(net(torch.zeros(4, 8, 8)).shape)
"""
MENDED = CRASH.replace("nn.Linear(32, 10)", "nn.Linear(16, 10)")

# What breaks, as it could in a release: the statements run before the command does.
BREAKS = "def broken(*args, **kwargs):\n    raise RuntimeError('planted\\nsecond line')\n"
RULE = """\
from torchmedic.observed import Failure
from torchmedic.rules import RULES
RULES["TM201"].detectors[Failure] = broken
"""
ALL_RULES = """\
from torchmedic.observed import Failure
from torchmedic.rules import RULES
for rule in RULES.values():
    if Failure in rule.detectors:
        rule.detectors[Failure] = broken
"""
IN_THE_REPORT = {
    "rule": RULE,
    "all rules": ALL_RULES,
    "probe": "import torchmedic.probes.crash as m\nm.read_error = broken\n",
    "size table": "import torchmedic.probes.sizes, torchmedic.probes.crash as m\nm.rerun = broken\n"
    "from torchmedic.probes.record import Recorder\nRecorder.layers_for = lambda *a: None\n",
    "recorded sites": "from torchmedic.probes.record import Recorder\nRecorder.made_by = broken\n",
    "recorded layers": "from torchmedic.probes.record import Recorder\nRecorder.layers_for = broken\n",
    "recorder's end": "from torchmedic.probes.record import Recorder\nRecorder.uninstall = broken\n",
    "diff": "import torchmedic.fix.patch as m\nm.with_diff = broken\n",
    "verifier": "import torchmedic.fix.verify as m\nm.try_fixes = broken\n",
    "renderer": "import torchmedic.render.text as m\nm.render = broken\n",
    "page width": "import torchmedic.session as m\nm.terminal_width = broken\n",
}
WHILE_IT_RUNS = {
    "recorder's start": "from torchmedic.probes.record import Recorder\nRecorder.install = broken\n",
    "splicing": "from torchmedic.probes.record import Recorder\nRecorder._splice = broken\n",
    "compiler": "from torchmedic.probes.record import Recorder\nRecorder._know_compiler = broken\n",
    "constructors": "from torchmedic.probes.constructors import Constructors\nConstructors.note = broken\n",
    "beginning of a call": "from torchmedic.probes.first_calls import FirstCalls\nFirstCalls._begin = broken\n",
    "calls in a call": "from torchmedic.probes.first_calls import FirstCalls\nFirstCalls._note = broken\n",
    "results": "from torchmedic.probes.first_calls import FirstCalls\nFirstCalls._note_result = broken\n",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("internal")
    (folder / "train.py").write_text(CRASH)
    (folder / "mended.py").write_text(MENDED)
    return folder


@pytest.fixture(scope="module")
def python(folder) -> subprocess.CompletedProcess[str]:
    """The crash without us."""
    done = start(folder, ["train.py"])
    assert done.returncode == 1 and done.stderr.endswith("(4x16 and 32x10)\n")
    return done


def start(folder: Path, words: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )


def broken(folder: Path, plant: str, *words: str) -> subprocess.CompletedProcess[str]:
    """The command with something of ours broken."""
    text = f"{BREAKS}{plant}from torchmedic.cli import main\nmain()\n"
    return start(folder, ["-c", text, *words])


def complaints(said: str) -> list[str]:
    return [
        line for line in said.splitlines() if line.startswith("torchmedic") and "failed" in line
    ]


def has_no_traceback_of_ours(said: str) -> bool:
    return "Traceback" not in said and "second line" not in said


@pytest.mark.parametrize("what", IN_THE_REPORT)
def test_a_broken_report_leaves_pythons_traceback(what, folder, python):
    done = broken(folder, IN_THE_REPORT[what], "run", "train.py")
    assert (done.returncode, done.stdout) == (1, python.stdout)
    assert done.stderr.startswith(python.stderr)
    ours = done.stderr[len(python.stderr) :]
    assert has_no_traceback_of_ours(ours), ours
    assert len(complaints(ours)) == 1, ours
    assert "planted" in complaints(ours)[0]


def test_a_broken_rule_does_not_stop_the_others(folder):
    """Only the rule that would answer is broken in the first; another one in the second."""
    silent = broken(folder, RULE, "run", "--no-verify", "train.py")
    assert "TM201" in complaints(silent.stderr)[0]
    answered = broken(folder, RULE.replace("TM201", "TM301"), "run", "--no-verify", "train.py")
    assert "TM301" in complaints(answered.stderr)[0]
    assert "TM201" in answered.stderr and "nn.Linear(32, 10)" in answered.stderr


@pytest.mark.parametrize("what", ["verifier", "diff"])
def test_what_was_found_out_is_still_told(what, folder, python):
    """Without trials or diffs the diagnosis is worth as much."""
    done = broken(folder, IN_THE_REPORT[what], "run", "train.py")
    assert "TM201" in done.stderr[len(python.stderr) :]


@pytest.mark.parametrize("what", ["probe", "renderer", "verifier"])
def test_a_broken_report_in_json(what, folder, python):
    plant = IN_THE_REPORT[what].replace("render.text", "render.json")
    (folder / "report.json").unlink(missing_ok=True)
    words = ("run", "--format", "json", "--output", "report.json", "train.py")
    done = broken(folder, plant, *words)
    assert (done.returncode, done.stdout) == (1, python.stdout)
    assert done.stderr.startswith(python.stderr)
    ours = done.stderr[len(python.stderr) :]
    assert has_no_traceback_of_ours(ours) and len(complaints(ours)) == 1, ours
    if (folder / "report.json").exists():
        json.loads((folder / "report.json").read_text("utf-8"))


@pytest.mark.parametrize("what", WHILE_IT_RUNS)
def test_a_broken_recorder_changes_no_crash(what, folder, python):
    """What is noted while the program runs is a help, not a condition."""
    done = broken(folder, WHILE_IT_RUNS[what], "run", "--no-verify", "train.py")
    assert (done.returncode, done.stdout) == (1, python.stdout), done.stderr
    assert done.stderr.count("Traceback") == python.stderr.count("Traceback"), done.stderr
    assert python.stderr in done.stderr
    assert len(complaints(done.stderr)) <= 1


@pytest.mark.parametrize("what", WHILE_IT_RUNS)
def test_a_broken_recorder_stops_no_program(what, folder):
    plain = start(folder, ["mended.py"])
    done = broken(folder, WHILE_IT_RUNS[what], "run", "mended.py")
    assert (done.returncode, done.stdout) == (0, plain.stdout), done.stderr
    assert "Traceback" not in done.stderr and len(complaints(done.stderr)) <= 1


@pytest.mark.parametrize("what", ["rule", "renderer", "json", "text"])
def test_a_broken_explanation(what, folder, python):
    plant = (
        IN_THE_REPORT.get(what)
        or {
            "json": "import torchmedic.render.json as m\nm.render = broken\n",
            "text": "import torchmedic.observed.text as m\nm.failure_from_text = broken\n",
        }[what]
    )
    form = ("--format", "json") if what == "json" else ()
    done = broken(folder, plant, "explain", *form, python.stderr.splitlines()[-1])
    assert done.returncode != 0
    assert has_no_traceback_of_ours(done.stderr), done.stderr
    assert len(complaints(done.stderr)) == 1, done.stderr


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_unwritable_report_is_said_in_one_line(form, folder, python):
    """The report on standard error is there all the same, and nobody is asked to report a bug."""
    words = ["run", "--no-verify", "--format", form, "--output", "missing/report.txt", "train.py"]
    done = start(folder, ["-m", "torchmedic", *words])
    assert (done.returncode, done.stdout) == (1, python.stdout)
    assert done.stderr.startswith(python.stderr)
    ours = done.stderr[len(python.stderr) :]
    assert has_no_traceback_of_ours(ours) and not complaints(ours)
    assert "error[TM201]" in ours
    assert len([line for line in ours.splitlines() if "missing/report.txt" in line]) == 1
