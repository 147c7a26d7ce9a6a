"""One file looked at: read, analysed, and told as plain data. Runs in any process."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from torchmedic.checking import relevance
from torchmedic.checking.files import Files
from torchmedic.checking.problems import UNREADABLE, CannotLook, Problem, internal
from torchmedic.checking.stored import Plain, plain
from torchmedic.model import Diagnosis, Edit, Rule, Span

if TYPE_CHECKING:
    from torchmedic.checking.cache import Cache
    from torchmedic.checking.fitting import Fitting
    from torchmedic.checking.reading import Program


class Looked(NamedTuple):
    """What came of one file. `reads` are the project's files that the answer depends on, itself included."""

    path: str
    diagnoses: Sequence[Plain] = ()
    problems: Sequence[Problem] = ()
    reads: tuple[str, ...] = ()
    is_complete: bool = True
    is_skipped: bool = False  # nothing in it has to do with torch
    is_cached: bool = False
    seconds: float = 0.0


class Asked(NamedTuple):
    """A file to look at. An explicit one is parsed even if nothing in it has to do with torch."""

    path: str
    is_explicit: bool = False


def look(asked: Asked, files: Files, cache: Cache | None = None) -> Looked:
    """Looks at one file. Never raises for what is in it; an error of ours becomes a problem."""
    return glance(asked, files, cache) or analyse(asked, files, cache)


def glance(asked: Asked, files: Files, cache: Cache | None = None) -> Looked | None:
    """The answer if nothing has to be analysed for it: no torch, not readable, or known from the cache."""
    return _guarded(asked, lambda: _glance(asked, files, cache))


def analyse(asked: Asked, files: Files, cache: Cache | None = None) -> Looked:
    """The answer of the engine and the rules, kept in the cache."""
    looked = _guarded(asked, lambda: _analyse(asked, files, cache))
    assert looked is not None
    return looked


def _guarded(asked: Asked, looking: Callable[[], Looked | None]) -> Looked | None:
    started = time.perf_counter()
    try:
        looked = looking()
    except CannotLook as error:
        looked = Looked(asked.path, problems=[error.problem], reads=(asked.path,))
    except Exception as error:
        looked = Looked(asked.path, problems=[internal(asked.path, error)], reads=(asked.path,))
    return looked and looked._replace(seconds=time.perf_counter() - started)


def _read(path: str, files: Files) -> bytes:
    try:
        return files.read(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise CannotLook(Problem(path, 0, UNREADABLE.fill(reason=reason))) from None


def _glance(asked: Asked, files: Files, cache: Cache | None) -> Looked | None:
    path, data = asked.path, _read(asked.path, files)
    if not relevance.concerns_torch(path, data, files.instead):
        problems = _parsed(path, data) if asked.is_explicit else []
        return Looked(path, problems=problems, reads=(path,), is_skipped=True)
    kept = cache.load(path, data) if cache else None
    return None if kept is None else _from_cache(path, kept)


def _analyse(asked: Asked, files: Files, cache: Cache | None) -> Looked:
    path, data = asked.path, _read(asked.path, files)
    looked = _analysed(path, data, files)
    if cache and not looked.problems:
        cache.store(path, data, looked.reads, _for_cache(looked))
    return looked


def _parsed(path: str, data: bytes) -> list[Problem]:
    from torchmedic.checking.reading import Program

    program = Program(path, data)
    program.source()
    return program.problems


def _for_cache(looked: Looked) -> dict[str, Any]:
    return {
        "diagnoses": looked.diagnoses,
        "reads": looked.reads,
        "is_complete": looked.is_complete,
    }


def _from_cache(path: str, kept: dict[str, Any]) -> Looked:
    return Looked(
        path,
        diagnoses=kept["diagnoses"],
        reads=tuple(kept["reads"]),
        is_complete=kept["is_complete"],
        is_cached=True,
    )


def _analysed(path: str, data: bytes, files: Files) -> Looked:
    from torchmedic.abstract import execute
    from torchmedic.checking.reading import Program
    from torchmedic.engine import diagnose
    from torchmedic.observed.source import stand_in

    program = Program(path, data)
    # The rules, and comments that silence them, read the text by its path.
    if program.notebook is not None:
        stand_in(path, program.text)
    problems = list(program.problems)

    def on_error(rule: Rule, error: Exception) -> None:
        problems.append(internal(path, error, rule.code))

    try:
        trace = execute(program.source())
        found = _placed(diagnose(trace, on_error), program, files)
    finally:
        if program.notebook is not None:
            stand_in(path, None)
    return Looked(
        path,
        diagnoses=[plain(d) for d in found],
        problems=problems,
        reads=tuple(
            dict.fromkeys((path, *(os.path.realpath(p) for p in trace.paths if p != path)))
        ),
        is_complete=trace.is_complete,
    )


def _placed(found: list[Diagnosis], program: Program, files: Files) -> list[Diagnosis]:
    """The diagnoses as a person knows their places, with the fixes that leave files that parse."""
    if not found:
        return []
    from torchmedic.checking.fitting import Fitting

    fitting = Fitting(program, files)
    return [_placed_one(d, program, fitting) for d in found]


def _placed_one(d: Diagnosis, program: Program, fitting: Fitting) -> Diagnosis:
    kept = [fix for fix in d.fixes if fix.edits and fitting.fits(fix)]

    def place(span: Span) -> Span:
        if span.path != program.path:
            return span._replace(path=os.path.realpath(span.path))
        return program.place(span)

    return d._replace(
        at=d.at and place(d.at),
        raised_at=d.raised_at and place(d.raised_at),
        evidence=tuple(e._replace(at=e.at and place(e.at)) for e in d.evidence),
        fixes=tuple(
            fix._replace(edits=tuple(Edit(place(span), text) for span, text in fix.edits))
            for fix in kept
        ),
    )
