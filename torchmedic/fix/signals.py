"""Signals while trials run: whatever ends this process, the trials' folders and processes go first."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class _Ended(BaseException):
    """A signal came that ends the process."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _end(number: int, frame: FrameType | None) -> None:
    raise _Ended(number)


def name_of(number: int) -> str:
    """`SIGTERM` of 15; the number itself where the system has no name for it."""
    with suppress(ValueError):
        return signal.Signals(number).name
    return str(number)


@contextmanager
def tidy_end() -> Iterator[None]:
    """Inside, SIGTERM and SIGHUP unwind the stack first, if the program has no handlers of its own for them."""
    ours = [s for s in _ENDING if _is_main() and signal.getsignal(s) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, _end)
    ended = 0
    try:
        yield
    except _Ended as end:
        ended = end.number
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
    if ended:
        os.kill(os.getpid(), ended)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Inside, Ctrl-C waits for nothing and is lost: for cleaning up, which is short."""
    if not _is_main():
        yield
        return
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        if previous is not None:
            signal.signal(signal.SIGINT, previous)


def _is_main() -> bool:
    return threading.current_thread() is threading.main_thread()
