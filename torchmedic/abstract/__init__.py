"""The engine of the Source view: a program is executed abstractly, it never runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torchmedic.observed import Source
    from torchmedic.observed.trace import Trace


def execute(source: Source) -> Trace:
    """What the file does when it is started, and what is in it that nobody calls. Never raises on the user's code."""
    from torchmedic.abstract.program import Machine

    return Machine(source).run()
