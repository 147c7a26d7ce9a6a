"""A program under the observer, in this process: what `run` would say of it when it is over."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from torchmedic.model import Diagnosis
from torchmedic.observed.run import Run
from torchmedic.probes.observer.hooks import Observer
from torchmedic.probes.observer.watcher import Now, Watcher
from torchmedic.probes.observer.watchers import every_watcher
from torchmedic.probes.record import Recorder
from torchmedic.silent import found_in


class Observed(NamedTuple):
    run: Run
    output: str
    random: bytes  # the state of torch's generator at the end


def observe(path: Path, watchers: Callable[[Now], list[Watcher]] = every_watcher) -> Observed:
    """Runs the program. Raises what it raises, and any error of a watcher."""
    import torch

    observer = Observer(watchers)
    recorder = Recorder(observer)
    main = types.ModuleType("__main__")
    main.__file__ = str(path)
    before = sys.modules["__main__"], list(sys.path), list(sys.argv), os.getcwd(), set(sys.modules)
    sys.modules["__main__"], sys.argv = main, [str(path)]
    sys.path.insert(0, str(path.parent))
    os.chdir(path.parent)
    state = torch.get_rng_state()
    output = io.StringIO()
    recorder.install()
    try:
        with contextlib.redirect_stdout(output), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(compile(path.read_bytes(), str(path), "exec", dont_inherit=True), main.__dict__)
        random = torch.get_rng_state().numpy().tobytes()
    finally:
        recorder.uninstall()
        sys.modules["__main__"], sys.path[:], sys.argv[:] = before[0], before[1], before[2]
        os.chdir(before[3])
        torch.set_rng_state(state)
        for name in set(sys.modules) - before[4]:
            held = getattr(sys.modules[name], "__file__", None)
            if held and Path(held).parent == path.parent:
                del sys.modules[name]
    if observer.error is not None:
        raise observer.error
    return Observed(observer.read(), output.getvalue(), random)


def diagnosed(path: Path) -> tuple[Diagnosis, ...]:
    def fail(rule: object, error: Exception) -> None:
        raise error

    return found_in(observe(path).run, fail)
