"""Runs a program in a forked child, as `torchmedic run` would, and brings back what was seen."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torchmedic.observed import Failure
from torchmedic.observed.run import Run

SECONDS = 120


@dataclass(frozen=True)
class Outcome:
    """How a program ended. `status` is its exit status; `failure` what the crash probe read, if it crashed."""

    status: int
    stdout: str
    stderr: str
    failure: Failure | None
    run: Run = field(default_factory=Run)  # what it did while it was watched


def forked(work: Callable[[], Any]) -> Any:
    """The result of `work()` in a forked child. Raises RuntimeError if the child dies or takes too long."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reader)
            signal.alarm(SECONDS)
            data = pickle.dumps(work())
            with os.fdopen(writer, "wb") as pipe:
                pipe.write(data)
            status = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        data = pipe.read()
    _, status = os.waitpid(child, 0)
    if status or not data:
        raise RuntimeError(f"the child ended with {os.waitstatus_to_exitcode(status)}")
    return pickle.loads(data)


def execute(*words: str, cwd: Path) -> Outcome:
    """`torchmedic run words…` in that folder, without a report; torch is imported once, in the parent."""
    import torch  # noqa: F401

    return forked(lambda: _execute(words, cwd))


def _execute(words: tuple[str, ...], cwd: Path) -> Outcome:
    import numpy

    from torchmedic import silent
    from torchmedic.probes import launch
    from torchmedic.probes.crash import read_error
    from torchmedic.probes.record import Recorder

    os.chdir(cwd)
    numpy.random.set_bit_generator(numpy.random.MT19937())  # as in a process that seeded nothing
    sys.path.insert(0, "")  # `python` puts the script's folder in the place of this entry
    observer = silent.observer()
    recorder = Recorder(observer)
    recorder.install()
    failures: list[Failure] = []
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = launch.run(
                launch.Program.parse(words),
                lambda error: failures.append(read_error(error, recorder)),
            )
        except SystemExit as exit:
            status = exit.code if isinstance(exit.code, int) else int(exit.code is not None)
    recorder.uninstall()
    if observer.error is not None:
        raise observer.error
    failure = failures[0] if failures else None
    return Outcome(status, out.getvalue(), err.getvalue(), failure, observer.read())
