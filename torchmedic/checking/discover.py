"""From the words on the command line to files: folders walked, patterns matched, ignore files respected."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from torchmedic.checking.look import Asked
from torchmedic.checking.problems import NO_MATCH, NOT_FOUND, NOT_REGULAR, UNREADABLE, Problem

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

SUFFIXES = (".py", ".pyw", ".ipynb")
EXCLUDED = (
    ".*",  # .git, .venv, .tox, caches of all kinds
    "__pycache__",
    "__pypackages__",
    "_build",
    "build",
    "buck-out",
    "dist",
    "env",
    "node_modules",
    "site-packages",
    "venv",
    "*.egg-info",
)


class Excludes:
    """Patterns as in `.gitignore`, relative to `folder`. Without any of the user's, no pattern library is loaded."""

    def __init__(self, folder: str, exclude: Sequence[str] | None, extend: Sequence[str]) -> None:
        self.folder = folder
        self.is_default = exclude is None
        own = [*(exclude or ()), *extend]
        self._spec = _spec(own) if own else None

    def match(self, path: str, is_folder: bool) -> bool:
        if self.is_default and is_folder and _is_default(os.path.basename(path)):
            return True
        if self._spec is None:
            return False
        return _decision(self._spec, self.folder, path, is_folder) is True


def _is_default(name: str) -> bool:
    if name.startswith("."):
        return name not in (os.curdir, os.pardir)
    return name in EXCLUDED or name.endswith(".egg-info")


class Discovery:
    """The files to look at, each once and in order, and what was asked for in vain."""

    def __init__(self, excludes: Excludes, is_forced: bool = False) -> None:
        self.excludes = excludes
        self.is_forced = is_forced  # excluded even if named
        self.files: dict[str, Asked] = {}  # by path, links followed
        self.problems: list[Problem] = []

    def add(self, words: Iterable[str]) -> None:
        for word in words:
            path = os.path.abspath(word)
            if os.path.isdir(path):
                self._add_all(path)
            elif os.path.lexists(path):
                self._add_explicit(word, path)
            elif glob.has_magic(word):
                self._add_matches(word)
            else:
                self.problems.append(Problem(word, 0, NOT_FOUND))

    def _add_explicit(self, word: str, path: str) -> None:
        try:
            mode = os.stat(path).st_mode
        except OSError as error:  # a link to nowhere, or one that turns in a circle
            reason = error.strerror or str(error)
            self.problems.append(Problem(word, 0, UNREADABLE.fill(reason=reason)))
            return
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
            self.problems.append(Problem(word, 0, NOT_REGULAR))
            return
        if self.is_forced and self._is_inside_excluded(path, is_folder=False):
            return
        real = os.path.realpath(path)
        self.files[real] = Asked(real, is_explicit=True)

    def _add_all(self, folder: str) -> None:
        for path in walk(folder, self.excludes):
            self._add_found(path)

    def _add_found(self, path: str) -> None:
        real = os.path.realpath(path)
        self.files.setdefault(real, Asked(real))

    def _add_matches(self, word: str) -> None:
        found = sorted(glob.glob(word, recursive=True))
        if not found:
            self.problems.append(Problem(word, 0, NO_MATCH))
        for match in found:
            path = os.path.abspath(match)
            if os.path.isdir(path):
                if not self._is_inside_excluded(path, is_folder=True):
                    self._add_all(path)
            elif path.endswith(SUFFIXES) and not self._is_inside_excluded(path, is_folder=False):
                self._add_found(path)

    def _is_inside_excluded(self, path: str, is_folder: bool) -> bool:
        """True if the path, or a folder between the working directory and it, is excluded."""
        top = os.getcwd()
        while path != top and path != os.path.dirname(path):
            if self.excludes.match(path, is_folder):
                return True
            path, is_folder = os.path.dirname(path), True
        return False


def walk(folder: str, excludes: Excludes) -> Iterator[str]:
    """The Python files and notebooks below a folder, sorted; links to folders are not followed."""
    yield from _walk(folder, excludes, _outer_ignores(folder))


class _Ignores:
    """One folder's ignore file, and those of the folders around it."""

    def __init__(self, folder: str, spec: GitIgnoreSpec, outer: _Ignores | None) -> None:
        self.folder = folder
        self.spec = spec
        self.outer = outer

    def match(self, path: str, is_folder: bool) -> bool:
        """The innermost file that has an opinion decides."""
        here: _Ignores | None = self
        while here is not None:
            decision = _decision(here.spec, here.folder, path, is_folder)
            if decision is not None:
                return decision
            here = here.outer
        return False


def _walk(folder: str, excludes: Excludes, ignores: _Ignores | None) -> Iterator[str]:
    ignores = _with_file(folder, ".gitignore", ignores)
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        try:
            is_folder = entry.is_dir(follow_symlinks=False)
            is_wanted = is_folder or (entry.name.endswith(SUFFIXES) and entry.is_file())
        except OSError:
            continue
        if not is_wanted or excludes.match(entry.path, is_folder):
            continue
        if ignores is not None and ignores.match(entry.path, is_folder):
            continue
        if is_folder:
            yield from _walk(entry.path, excludes, ignores)
        else:
            yield entry.path


def _outer_ignores(folder: str) -> _Ignores | None:
    """The ignore files of the repository around a folder, the folder's own not among them.

    None if they ignore the folder: somebody who names it wants it walked.
    """
    above = [folder]
    while not os.path.lexists(os.path.join(above[-1], ".git")):
        up = os.path.dirname(above[-1])
        if up == above[-1]:
            return None
        above.append(up)
    top = above[-1]
    ignores = _with_file(top, os.path.join(".git", "info", "exclude"), None)
    for outer in reversed(above[1:]):
        ignores = _with_file(outer, ".gitignore", ignores)
    return None if ignores is not None and ignores.match(folder, is_folder=True) else ignores


def _with_file(folder: str, name: str, outer: _Ignores | None) -> _Ignores | None:
    try:
        with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        return outer
    if not any(line.strip() and not line.startswith("#") for line in lines):
        return outer
    return _Ignores(folder, _spec(lines), outer)


def _spec(lines: Iterable[str]) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec

    kept = []
    for line in lines:
        try:
            GitIgnoreSpec.from_lines([line])
        except ValueError:  # git, too, passes over a pattern that it can't read
            continue
        kept.append(line)
    return GitIgnoreSpec.from_lines(kept)


def _decision(spec: GitIgnoreSpec, folder: str, path: str, is_folder: bool) -> bool | None:
    """True: ignored. False: a `!` pattern keeps it. None: no pattern speaks of it."""
    try:
        relative = os.path.relpath(path, folder)
    except ValueError:  # another drive
        return None
    if relative.split(os.sep)[0] == os.pardir:
        return None
    name = relative.replace(os.sep, "/") + ("/" if is_folder else "")
    return spec.check_file(name).include
