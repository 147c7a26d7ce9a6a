"""Runs a program and its mended copy for a few steps each, and compares where their parameters come to."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from torchmedic.fix.child import Child, Goal, Launch
from torchmedic.fix.course import Recorded
from torchmedic.fix.patch import rewritten
from torchmedic.fix.signals import tidy_end
from torchmedic.model import Edit, Fix, Text

POLL = 0.05  # seconds
STEPS = 3


class Compared(NamedTuple):
    """`apart`: as in `Recorded`, None if that can't be told. `has_ended`: both copies came to the last step."""

    apart: float | None
    has_ended: bool
    has_dropout: bool = False
    has_batch_norm: bool = False


def compared(
    launch: Launch, before: Sequence[Edit], after: Sequence[Edit], limit: float, steps: int = STEPS
) -> Compared:
    """Of the program with the edits `before`, and of that with the edits `after`. `limit`: seconds for both.

    Raises OSError or ValueError if no copies can be made."""
    with tidy_end():
        return _compared(launch, before, after, limit, steps)
    return Compared(None, False)  # not reached: the signal has ended this process


def _compared(
    launch: Launch, before: Sequence[Edit], after: Sequence[Edit], limit: float, steps: int
) -> Compared:
    children: list[Child] = []
    try:
        for edits in (before, after):
            mended = rewritten(Fix(tuple(edits), Text("", ""))) if edits else ()
            children.append(Child(launch, Goal(None, "", 0, ""), mended, record=steps))
        until = time.monotonic() + limit
        while time.monotonic() < until and any(child.told.code is None for child in children):
            for child in children:
                child.read()
            if any(child.told.code not in (None, 0) for child in children):
                break
            time.sleep(POLL)
        one, other = (child.course() for child in children)
    finally:
        for child in children:
            child.close()
    if not isinstance(one, Recorded) or not isinstance(other, Recorded):
        return Compared(None, False)
    apart = one.apart(other)
    return Compared(apart, True, one.has_dropout, one.has_batch_norm)
