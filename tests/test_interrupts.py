"""Ctrl-C and other signals while fixes are tried: what is known is told, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from corpus import environment
from torchmedic.probes.launch import Program, run

PROGRAM = """\
import time
import torch

layer = torch.nn.Linear(3, 4)
layer(torch.zeros(2, 5))
time.sleep(600)
"""
SECONDS = 120  # until the trials must have begun


def started(folder: Path) -> tuple[subprocess.Popen[str], Path]:
    """`torchmedic run` of the program, as soon as its trials' folders are there; and where they lie."""
    pytest.importorskip("torch")
    program = folder / "program"
    program.mkdir()
    (program / "train.py").write_text(PROGRAM)
    temporary = folder / "temporary"
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "torchmedic", "run", "train.py"],
        cwd=program,
        env=environment(TMPDIR=str(temporary)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    end = time.monotonic() + SECONDS
    while len(list(temporary.glob("*/trial.json"))) < 2:
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    return process, temporary


def test_ctrl_c_twice_still_tells_what_was_found(tmp_path: Path) -> None:
    process, temporary = started(tmp_path)
    process.send_signal(signal.SIGINT)
    time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Please report" not in err
    assert "error[TM201]" in err or "interrupted" in err
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP])
def test_an_ending_signal_leaves_nothing_behind(sent: signal.Signals, tmp_path: Path) -> None:
    process, temporary = started(tmp_path)
    process.send_signal(sent)
    process.communicate(timeout=60)
    assert process.returncode == -sent
    assert not list(temporary.iterdir())


def test_ctrl_c_while_the_crash_is_read_is_no_failure_of_ours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "train.py"
    script.write_text("1 / 0\n")
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])

    def interrupted(error: BaseException) -> None:
        raise KeyboardInterrupt

    assert run(Program("script", os.fspath(script)), interrupted) == 1
    told = capsys.readouterr().err.splitlines()
    assert told[-1] == "torchmedic was interrupted while reading this crash."
