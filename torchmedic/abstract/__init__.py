"""The engine of the Source view: a program is executed abstractly, it never runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from torchmedic.observed import Source
    from torchmedic.observed.trace import Trace


def execute(source: Source) -> Trace:
    """What the file does when it is started, and what is in it that nobody calls. Never raises on the user's code."""
    from torchmedic.abstract.program import Machine

    return _on_one_stack(Machine(source).run)


def _on_one_stack(work: Callable[[], Trace]) -> Trace:
    limit = sys.getrecursionlimit()
    # A sum of 300 terms, or 100 `elif`, nest three calls of the engine in each other for each.
    sys.setrecursionlimit(max(limit, 5_000))
    try:
        return work()
    finally:
        sys.setrecursionlimit(limit)


# CPython keeps frames in chunks of 16 KB, and gives one back as soon as a call returns across its border: recursion that
# goes up and down there costs a system call each time, 8 % of the engine's time. This frame asks for so many slots
# (8 bytes each) that its chunk has 1 MB, half of it for the frames above.
_on_one_stack.__code__ = _on_one_stack.__code__.replace(co_stacksize=66_000)
