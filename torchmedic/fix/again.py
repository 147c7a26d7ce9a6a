"""One more run of the program as it is, in a copy, for the error that it ends with there."""

from __future__ import annotations

import selectors

from torchmedic.fix.child import Child, Goal, Launch
from torchmedic.fix.signals import tidy_end, uninterrupted
from torchmedic.observed import Failure

READ_ERROR = "torchmedic.probes.crash:read_error"
_POLL = 0.05  # seconds
_NO_GOAL = Goal(None, "", 0, "")


def crash_of(launch: Launch, limit: float) -> Failure | None:
    """What the copy ended with, in the places of the user's own files; None if it did not crash in `limit` seconds,
    or was held back from what it wanted to do. Ctrl-C ends the copy and is raised."""
    with tidy_end():
        try:
            child = Child(launch, _NO_GOAL, (), READ_ERROR)
        except (OSError, ValueError):
            return None
        with selectors.DefaultSelector() as selector:
            child.register(selector)
            try:
                return _crash(child, selector, limit)
            finally:
                with uninterrupted():
                    child.unregister(selector)
                    child.close()
    return None  # not reached: the signal has ended this process


def _crash(child: Child, selector: selectors.BaseSelector, limit: float) -> Failure | None:
    told = child.told
    while told.seconds < limit:
        selector.select(_POLL)
        child.read()
        if told.held is not None:
            return None
        if told.error is not None:
            return child.failure()
        if told.code is not None:
            return None
    return None
