"""What a watched run did wrong without crashing: its diagnoses, with the fixes that its source allows."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from torchmedic.model import Diagnosis, Lang, Rule, Text

if TYPE_CHECKING:
    from torchmedic.observed.run import Run
    from torchmedic.probes.observer.hooks import Observer
    from torchmedic.probes.observer.watcher import Now, Watcher

OnError = Callable[[Rule, Exception], None]


def observer(overfit: int = 0) -> Observer:
    """With everything that it can watch; not installed yet. `overfit`: how often one batch is to be repeated."""
    from torchmedic.probes.observer.hooks import Observer

    def watchers(now: Now) -> list[Watcher]:
        from torchmedic.probes.observer.watchers import every_watcher

        return every_watcher(now, overfit)

    return Observer(watchers)


def found_in(run: Run, on_error: OnError) -> tuple[Diagnosis, ...]:
    """The diagnoses of a run, once each, without edits from its source."""
    from torchmedic.engine import diagnose

    found: dict[object, Diagnosis] = {}
    for diagnosis in diagnose(run, on_error):
        found.setdefault(key(diagnosis), diagnosis)
    return tuple(found.values())


def key(diagnosis: Diagnosis) -> tuple[str, str, int]:
    """What makes two diagnoses the same mistake: the rule, the file and the line."""
    at = diagnosis.at
    return diagnosis.rule.code, at.path if at else "", at.line if at else 0


class Live:
    """Tells each mistake in one line when it is first certain, while the program runs."""

    LINE = Text(
        en="torchmedic: {code} {place}: {title} (the report follows at the end)",
        ko="torchmedic: {code} {place}: {title} (보고서는 끝에 나옵니다)",
    )

    def __init__(self, lang: Lang, cwd: str, write: Callable[[str], object]) -> None:
        self.lang = lang
        self.cwd = cwd
        self.write = write
        self.told: set[object] = set()
        self.allows: Callable[[tuple[str, str, int]], bool] = lambda key: True

    def tell(self, run: Run) -> None:
        from torchmedic.render import shown_path

        for diagnosis in found_in(run, lambda rule, error: None):
            at, known = diagnosis.at, key(diagnosis)
            if at is None or known in self.told or not self.allows(known):
                continue
            self.told.add(known)
            said = self.LINE.fill(
                code=diagnosis.rule.code,
                place=f"{shown_path(at.path, self.cwd)}:{at.line}",
                title=diagnosis.title(self.lang),
            )
            self.write(said.show(self.lang) + "\n")


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
