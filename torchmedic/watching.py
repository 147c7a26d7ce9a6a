"""`with torchmedic.watch():` and `torchmedic.install()`: what `torchmedic run` sees, from inside a program or a notebook."""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

from torchmedic import alone, console, session, silent
from torchmedic.model import Diagnosis, Lang
from torchmedic.render import Report, name_cells

if TYPE_CHECKING:
    from torchmedic.probes.observer.hooks import Observer


class watch:
    """`with torchmedic.watch() as seen:` watches the training inside the block, and reports its silent mistakes.

    The report goes to standard error, if there is anything to say; `report=False` keeps it quiet. Results, random
    numbers and the program's objects stay what they are; everything is put back at the end, also after an exception.
    Inside another watch, or under `torchmedic run`, the outer one reports. Raises ValueError for a language that
    isn't "en" or "ko".
    """

    def __init__(self, lang: Lang | None = None, report: bool = True) -> None:
        self._options = session.Options(lang=_language(lang))
        self._is_told = report
        self._session: session.Session | None = None
        self._is_own = False

    def __enter__(self) -> watch:
        self._is_own = not _ACTIVE
        if self._is_own:
            _begin(self._options)
        self._session = _ACTIVE[-1]
        return self

    def __exit__(self, *details: object) -> None:
        if self._is_own and self._session is not None:
            _end(self._session)
            if self._is_told:
                with suppress(Exception):
                    _write(self.diagnoses, self._options)

    @property
    def diagnoses(self) -> tuple[Diagnosis, ...]:
        """The mistakes that were seen so far, with the fixes that the source allows; empty if nothing can be watched."""
        return self._session.seen() if self._session is not None else ()


def install(lang: Lang | None = None) -> None:
    """Watches until the process ends, and then reports; explains an exception that nothing catches.

    For a program that can't be started by `torchmedic run`, and for notebooks: there an exception of a cell is
    explained below it, and mistakes are told after the cell that shows them. A second call changes nothing. Raises
    ValueError for a language that isn't "en" or "ko".
    """
    options = session.Options(lang=_language(lang), verify=False)
    if _ACTIVE:
        return
    crash = _begin(options)
    alone.attach(crash)
    process = os.getpid()
    shell = _notebook()
    if shell is not None:
        _in_notebook(shell, crash)
        return
    previous = sys.excepthook

    def explain(kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
        previous(kind, error, at)
        if os.getpid() == process and isinstance(error, Exception):
            with suppress(Exception):
                crash.on_crash(error)
            _end(crash)

    def finish() -> None:
        if os.getpid() == process and _ACTIVE:
            _end(crash)
            with suppress(Exception):
                crash.on_end()

    sys.excepthook = explain
    atexit.register(finish)


_ACTIVE: list[session.Session] = []


def claim(running: session.Session) -> None:
    """`torchmedic run` watches: what the program itself asks for is part of that."""
    _ACTIVE.append(running)


def _begin(options: session.Options) -> session.Session:
    from torchmedic.probes.record import Recorder

    observer: Observer | None = None
    with suppress(Exception):  # the program runs all the same
        observer = silent.observer()
        observer.now.is_whole = False  # what the program seeded and drew before can't be told
    begun = session.Session((), options, Recorder(observer), observer)
    if observer is not None:
        observer.on_error = begun.on_observer_error
    with suppress(Exception):
        begun.recorder.install()
    _ACTIVE.append(begun)
    return begun


def _end(ended: session.Session) -> None:
    if _ACTIVE:
        _ACTIVE.pop()
    with suppress(Exception):
        ended.recorder.uninstall()


def _write(found: tuple[Diagnosis, ...], options: session.Options) -> None:
    if not found:
        return
    text = session.show(Report("run", found), options)
    console.emit("\n" + text, sys.stderr)


def _language(given: str | None) -> Lang:
    if given not in (None, "en", "ko"):
        raise ValueError(f"lang must be 'en' or 'ko', not {given!r}")
    from torchmedic.config import ConfigError, config

    try:
        return config(given).lang
    except ConfigError:
        return "en"


def _notebook() -> Any:
    """The running IPython shell, or None."""
    ipython: Any = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None


def _in_notebook(shell: Any, crash: session.Session) -> None:
    told: set[object] = set()
    compiler = getattr(shell, "compile", None)

    def name(path: str) -> str | None:
        """As IPython's own tracebacks call it: In[3]. Not before IPython 8."""
        found = getattr(compiler, "format_code_name", lambda path: None)(path)
        return str(found[1]) if found else None

    def explain(
        shell: Any, kind: Any, error: BaseException, at: Any, tb_offset: int | None = None
    ) -> None:
        shell.showtraceback((kind, error, at), tb_offset=tb_offset)
        with suppress(Exception):
            crash.explain(error)

    def after_cell(*details: object) -> None:
        ended_well = bool(details) and getattr(details[0], "success", False) is True
        with crash.at_rest(ended_well):
            new = tuple(d for d in crash.seen() if silent.key(d) not in told)
        told.update(map(silent.key, new))
        _write(new, crash.options)

    name_cells(name)
    shell.set_custom_exc((Exception,), explain)
    shell.events.register("post_run_cell", after_cell)
