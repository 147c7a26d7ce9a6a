"""From diagnoses and a language to output. Pure functions: whoever calls reads files and decides about colour."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from torchmedic.model import Diagnosis, Fix, Lang, Text
from torchmedic.render import words

Read = Callable[[str], Sequence[str]]
"""The lines of a file, with or without their ends; empty if it can't be read."""


class Report(NamedTuple):
    """What one command has to say: the root cause first, then remarks about the looking itself."""

    command: str
    diagnoses: tuple[Diagnosis, ...] = ()
    notes: tuple[Text, ...] = ()


_names: list[Callable[[str], str | None]] = []  # of cells that a notebook executes


def name_cells(name: Callable[[str], str | None]) -> None:
    """From now on `name` is asked first how a path is shown: a notebook's cells lie in files that nobody knows."""
    _names[:] = [name]


def shown_path(path: str, cwd: str | None = None) -> str:
    """The path as a reader knows it: from `cwd` (default: the current directory) if below it, with `/`.

    Names that are no files ("<stdin>") and relative paths stay as they are.
    """
    for name in _names:
        if (known := name(path)) is not None:
            return known
    if not os.path.isabs(path):
        return path.replace(os.sep, "/")
    try:
        relative = os.path.relpath(path, cwd or os.getcwd())
    except (OSError, ValueError):  # the directory is gone, or on another drive
        relative = os.pardir
    inside = relative.split(os.sep)[0] != os.pardir
    return (relative if inside else path).replace(os.sep, "/")


def ranked(fixes: Iterable[Fix]) -> list[Fix]:
    """The order in which fixes are shown: as found, those that failed their trial last."""
    return sorted(fixes, key=lambda fix: fix.verified is False)


def verification(fix: Fix, lang: Lang) -> str:
    """The sentence that says whether the fix was executed, and what came of it; a verdict alone if there is none."""
    if fix.verification is not None:
        return fix.verification.show(lang)
    return words.VERDICT[fix.verified].show(lang)


_CELL = r"(?s)(.+\.ipynb):cell (\d+)"


def cell_path(path: str, number: int) -> str:
    """How a cell of a notebook stands in a span: its lines count from the cell's own first line."""
    return f"{path}:cell {number}"


def cell_of(path: str) -> tuple[str, int | None]:
    """The file of a path, and the cell's number if it names one."""
    found = re.fullmatch(_CELL, path)
    return (found[1], int(found[2])) if found else (path, None)
