"""Sums and lists that live on from pass to pass, and what they hold, as events tell it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from torchmedic.observed.trace import Event
from torchmedic.rules._order import Timeline, numbers


def kept(timeline: Timeline) -> Iterator[Event]:
    """Additions that hold a graph of each pass, in a sum that lives on and that nothing differentiates."""
    places: dict[object, list[Event]] = {}
    for event in timeline.of("accumulate"):
        places.setdefault((event.sites, event.branches), []).append(event)
    reported: set[object] = set()
    for events in places.values():
        own = {e.facts["sum"] for e in events}
        if not events[0].name or any(numbers(e, "sums") & (reported | own) for e in events[:1]):
            continue  # the sum of a sum: the first one is the mistake
        for first, later in pairwise(events):
            if (
                _is_new(first, later)
                and first.facts["sum"] in numbers(later, "before")
                and later.loops
                and all(_has_graph(timeline, e) for e in (first, later))
                and not _may_be_used(timeline, own, later)
            ):
                reported |= own
                yield later
                break


def _is_new(first: Event, later: Event) -> bool:
    """True if each pass adds a graph of its own."""
    return not numbers(first, "added") & numbers(later, "added") and not (
        numbers(first, "calls") & numbers(later, "calls")
    )


def _has_graph(timeline: Timeline, event: Event) -> bool:
    if event.is_grad_enabled is not True:
        return False
    own = [e for e in timeline.of("backward") if not e.facts.get("is_foreign")]
    if any(e.subject in numbers(event, "added") for e in own):
        return True
    return event.facts.get("graph") is True and bool(numbers(event, "calls"))


def _before(timeline: Timeline, event: Event) -> list[Event]:
    """Backward passes of the user's own before the event."""
    return [
        e
        for e in timeline.events[: timeline.index[id(event)]]
        if e.kind == "backward" and not e.facts.get("is_foreign")
    ]


def _may_be_used(timeline: Timeline, own: set[object], event: Event) -> bool:
    """True if a backward pass goes through the sum, or may: it leaves, and its graphs have not been freed."""
    if any(numbers(e, "sums") & own for e in timeline.of("backward")):
        return True
    leaves = any(numbers(e, "sums") & own for e in timeline.of("escape"))
    if not leaves and not (timeline.entry and "." in event.name):
        return False
    done = [e for e in _before(timeline, event) if not e.facts.get("is_kept")]
    calls = frozenset[int]().union(*(numbers(e, "calls") for e in done))
    is_freed = {e.subject for e in done} >= numbers(event, "added") or (
        bool(numbers(event, "calls")) and numbers(event, "calls") <= calls
    )
    return not is_freed
