"""All watchers: each sees one kind of thing, and none knows another."""

from __future__ import annotations

from torchmedic.probes.observer.forwards import Forwards
from torchmedic.probes.observer.gradients import Gradients
from torchmedic.probes.observer.watcher import Now, Watcher


def every_watcher(now: Now) -> list[Watcher]:
    return [Gradients(now), Forwards(now)]
