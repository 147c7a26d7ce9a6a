"""All watchers: each sees one kind of thing, and none knows another."""

from __future__ import annotations

from torchmedic.probes.observer.beside import Beside
from torchmedic.probes.observer.clipping import Clipping
from torchmedic.probes.observer.distributed import Distributed
from torchmedic.probes.observer.forwards import Forwards
from torchmedic.probes.observer.gradients import Gradients
from torchmedic.probes.observer.holders import Holders
from torchmedic.probes.observer.inputs import Inputs
from torchmedic.probes.observer.learning import Learning
from torchmedic.probes.observer.leaves import Leaves
from torchmedic.probes.observer.loaders import Loaders
from torchmedic.probes.observer.losses import LossInputs
from torchmedic.probes.observer.pairs import Pairs
from torchmedic.probes.observer.root_calls import RootCalls
from torchmedic.probes.observer.schedules import Schedules
from torchmedic.probes.observer.seeds import Seeds
from torchmedic.probes.observer.slices import Slices
from torchmedic.probes.observer.spreads import Spreads
from torchmedic.probes.observer.states import States
from torchmedic.probes.observer.unconnected import Backwards
from torchmedic.probes.observer.values import Values
from torchmedic.probes.observer.watcher import Now, Watcher


def every_watcher(now: Now, overfit: int = 0) -> list[Watcher]:
    """`overfit`: how often one batch is to be repeated; 0: not at all."""
    calls = RootCalls(now)
    leaves = Leaves(now)
    found: list[Watcher] = [
        Gradients(now),
        Forwards(now),
        calls,
        LossInputs(now),
        Spreads(now),
        Slices(now),
        Values(now, calls),
        Learning(now, calls),
        Inputs(now),
        Holders(now),
        leaves,
        Beside(now, leaves),
        Schedules(now),
        Clipping(now),
        Loaders(now),
        Seeds(now),
        Distributed(now),
        States(now),
        Pairs(now),
        Backwards(now),
    ]
    if overfit:
        from torchmedic.probes.observer.overfit import Overfit

        found.append(Overfit(now, overfit))
    return found
