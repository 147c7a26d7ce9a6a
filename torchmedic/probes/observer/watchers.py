"""All watchers: each sees one kind of thing, and none knows another."""

from __future__ import annotations

from torchmedic.probes.observer.clipping import Clipping
from torchmedic.probes.observer.forwards import Forwards
from torchmedic.probes.observer.gradients import Gradients
from torchmedic.probes.observer.holders import Holders
from torchmedic.probes.observer.leaves import Leaves
from torchmedic.probes.observer.schedules import Schedules
from torchmedic.probes.observer.watcher import Now, Watcher


def every_watcher(now: Now, overfit: int = 0) -> list[Watcher]:
    """`overfit`: how often one batch is to be repeated; 0: not at all."""
    found: list[Watcher] = [
        Gradients(now),
        Forwards(now),
        Holders(now),
        Leaves(now),
        Schedules(now),
        Clipping(now),
    ]
    if overfit:
        from torchmedic.probes.observer.overfit import Overfit

        found.append(Overfit(now, overfit))
    return found
