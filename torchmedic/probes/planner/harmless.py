"""A replay leaves no traces: what the user's lines write, save, remove or start while they are replayed comes to nothing."""

from __future__ import annotations

import builtins
import contextlib
import fcntl
import io
import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from typing import Any

import torch

from torchmedic.observed.plan import NotReplayable
from torchmedic.observed.plan_notes import STARTS_PROGRAM

_DESCRIPTORS = "/dev/fd"
_REMOVERS = ("remove", "unlink", "rmdir", "removedirs", "rename", "renames", "replace", "truncate")


def leave_no_traces(spare: frozenset[int]) -> None:
    """For good: in a child process. Files that are open for writing lead to nowhere, but for the descriptors to `spare`;
    new ones too. Nothing is removed. A line that starts a program raises NotReplayable."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in _written():
        if number not in spare:
            os.dup2(null, number)
    owners: tuple[Any, ...] = (builtins, io)
    for owner in owners:
        owner.open = _reading(owner.open)
    for name in _REMOVERS:
        setattr(os, name, _nothing)
    tree: Any = shutil
    tree.rmtree = tree.move = _nothing
    process: Any = subprocess.Popen
    process.__init__ = _refuse
    system: Any = os
    system.system = _refuse
    torch.save.__code__ = _nothing.__code__  # by each of its names


def _nothing(*arguments: Any, **keywords: Any) -> None:
    return None


def _refuse(*arguments: Any, **keywords: Any) -> None:
    raise NotReplayable(STARTS_PROGRAM)


def _reading(original: Callable[..., Any]) -> Callable[..., Any]:
    """`open`, by which only reading comes through."""

    def opened(file: Any, mode: str = "r", *arguments: Any, **keywords: Any) -> Any:
        is_new = not isinstance(file, int)  # what is open already leads to nowhere by now
        if is_new and isinstance(mode, str) and set(mode) & set("wax+"):
            file, mode = os.devnull, mode.replace("x", "w")
            keywords.pop("opener", None)
        return original(file, mode, *arguments, **keywords)

    return opened


def _written() -> list[int]:
    """Regular files that are open for writing."""
    found = []
    with contextlib.suppress(OSError):
        for name in os.listdir(_DESCRIPTORS):
            number = int(name)
            with contextlib.suppress(OSError):
                is_file = stat.S_ISREG(os.fstat(number).st_mode)
                access = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE
                if is_file and access != os.O_RDONLY:
                    found.append(number)
    return found
