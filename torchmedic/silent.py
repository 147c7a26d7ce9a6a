"""What a watched run did wrong without crashing: its diagnoses, with the fixes that its source allows."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from torchmedic.model import Diagnosis, Rule

if TYPE_CHECKING:
    from torchmedic.observed.run import Run
    from torchmedic.probes.observer.hooks import Observer

OnError = Callable[[Rule, Exception], None]


def observer() -> Observer:
    """With everything that it can watch; not installed yet."""
    from torchmedic.probes.observer.hooks import Observer
    from torchmedic.probes.observer.watchers import every_watcher

    return Observer(every_watcher)


def found_in(run: Run, on_error: OnError) -> tuple[Diagnosis, ...]:
    """The diagnoses of a run, once each, without edits from its source."""
    from torchmedic.engine import diagnose

    found: dict[object, Diagnosis] = {}
    for diagnosis in diagnose(run, on_error):
        at = diagnosis.at
        found.setdefault((diagnosis.rule.code, at and (at.path, at.line)), diagnosis)
    return tuple(found.values())


def with_fixes(found: tuple[Diagnosis, ...], main: str) -> tuple[Diagnosis, ...]:
    """Fixes of the Source view, which knows all the places that take part, for what it also sees in the script."""
    if not main or not found:
        return found
    from torchmedic.abstract import execute
    from torchmedic.engine import diagnose
    from torchmedic.observed import load

    by_source: list[Diagnosis] = []
    with suppress(Exception):  # without it, the report has fewer fixes
        source = load(main)
        if source is not None:
            by_source = diagnose(execute(source), lambda rule, error: None)
    return tuple(_adopted(d, by_source) for d in found)


def _adopted(diagnosis: Diagnosis, by_source: list[Diagnosis]) -> Diagnosis:
    for other in by_source:
        if other.rule is diagnosis.rule and other.fixes and _is_same_place(diagnosis, other):
            return diagnosis._replace(fixes=other.fixes)
    return diagnosis


def _is_same_place(one: Diagnosis, other: Diagnosis) -> bool:
    here, there = one.at, other.at
    is_same = (one.variant and one.variant.name) == (other.variant and other.variant.name)
    return is_same and bool(here and there and here.path == there.path and here.line == there.line)


def main_file() -> str:
    """The script that runs as `__main__`; "" if it is no file."""
    return str(getattr(sys.modules.get("__main__"), "__file__", None) or "")
