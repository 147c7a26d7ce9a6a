"""A replay leaves no traces: what the user's lines write, save, remove or start while they are replayed comes to nothing."""

from __future__ import annotations

import builtins
import contextlib
import fcntl
import gc
import io
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch

from torchmedic.observed.plan import NotReplayable

_FIRST_FILE = 3  # descriptors below are standard input, output and error
_DESCRIPTORS = "/dev/fd"
_REMOVERS = ("remove", "unlink", "rmdir", "removedirs", "rename", "renames", "replace", "truncate")


@contextlib.contextmanager
def without_traces(spare: frozenset[int] | None = None) -> Iterator[None]:
    """Files that are open for writing, and both outputs, lead to nowhere; new ones too. Programs aren't started: a step
    that does raises NotReplayable. Everything is undone at the end. `spare`: in a child, descriptors to leave as they
    are."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(_silenced(spare))
        for owner in (builtins, io):
            stack.enter_context(changed(owner, "open", _reading(owner.open)))
        for name in _REMOVERS:
            stack.enter_context(changed(os, name, _nothing))
        for name in ("rmtree", "move"):
            stack.enter_context(changed(shutil, name, _nothing))
        stack.enter_context(changed(subprocess.Popen, "__init__", _refuse))
        stack.enter_context(changed(os, "system", _refuse))
        stack.enter_context(
            changed(torch.save, "__code__", _nothing.__code__)
        )  # its other names too
        yield


@contextlib.contextmanager
def changed(owner: Any, name: str, value: Any) -> Iterator[None]:
    """An attribute, for a time. What the owner only inherited is its own no longer."""
    is_own = name in vars(owner) if hasattr(owner, "__dict__") else True
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if is_own or name == "__code__":
            setattr(owner, name, before)
        else:
            delattr(owner, name)


def _nothing(*arguments: Any, **keywords: Any) -> None:
    return None


def _refuse(*arguments: Any, **keywords: Any) -> None:
    raise NotReplayable("the step starts another program")


def _reading(original: Callable[..., Any]) -> Callable[..., Any]:
    """`open`, by which only reading comes through."""

    def opened(file: Any, mode: str = "r", *arguments: Any, **keywords: Any) -> Any:
        is_new = not isinstance(file, int)  # what is open already leads to nowhere by now
        if is_new and isinstance(mode, str) and set(mode) & set("wax+"):
            file, mode = os.devnull, mode.replace("x", "w")
            keywords.pop("opener", None)
        return original(file, mode, *arguments, **keywords)

    return opened


@contextlib.contextmanager
def _silenced(spare: frozenset[int] | None) -> Iterator[None]:
    """What writes to a file that is open already. The buffers of a child hold what its parent will write."""
    before = sys.stdout, sys.stderr
    writers = _writers() if spare is None else []
    _flush(writers)
    null = os.open(os.devnull, os.O_RDWR)
    kept = [(number, os.dup(number)) for number in {1, 2, *_written()} - (spare or set()) - {null}]
    quiet = open(os.devnull, "w")  # noqa: SIM115
    try:
        for number, _ in kept:
            os.dup2(null, number)
        sys.stdout = sys.stderr = quiet
        yield
    finally:
        _flush(writers)  # what the replay wrote, before the files are themselves again
        sys.stdout, sys.stderr = before
        for number, copy in kept:
            os.dup2(copy, number)
            os.close(copy)
        os.close(null)
        quiet.close()


def _writers() -> list[Any]:
    kinds = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)
    return [one for one in gc.get_objects() if type(one) in kinds]


def _flush(writers: list[Any]) -> None:
    for writer in writers:
        with contextlib.suppress(Exception):
            writer.flush()


def _written() -> list[int]:
    """Regular files that are open for writing."""
    found = []
    with contextlib.suppress(OSError):
        for name in os.listdir(_DESCRIPTORS):
            number = int(name)
            with contextlib.suppress(OSError):
                is_file = stat.S_ISREG(os.fstat(number).st_mode)
                access = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE
                if number >= _FIRST_FILE and is_file and access != os.O_RDONLY:
                    found.append(number)
    return found
