"""What a loop keeps beyond the step that made it: a list of outputs, a variable that lives until it is written again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from torchmedic.model import Span
from torchmedic.observed import Site
from torchmedic.observed.plan import Event, Growth, Step

_OF_A_STEP = ("activations", "temporaries")  # the others are meant to stay, or are the batch


def freed_early(step: Step) -> tuple[Step, Site | None]:
    """The step as if what it took were given back at its end, but for what a later one uses; and the line that keeps
    most of it, None if nothing is kept."""
    kept = _kept(step)
    if not kept:
        return step, None
    events: list[Event] = []
    now = 0
    for event in step.events:
        if event.step > now:
            early = [one for one in kept.values() if one.step == now]
            events += [one._replace(kind="free") for one in early]
            now = event.step
        if event.kind == "free" and event.id in kept:
            continue
        events.append(event)
    return step._replace(events=tuple(events)), _most(iter(kept.values()))


def _kept(step: Step) -> dict[int, Event]:
    """Of each storage that outlives its step: its "alloc"."""
    freed = {event.id: event.step for event in step.events if event.kind == "free"}
    return {
        event.id: event
        for event in step.events
        if event.kind == "alloc"
        and 0 < event.step < step.iterations
        and event.category in _OF_A_STEP
        and event.id not in step.used_again
        and freed.get(event.id, step.iterations + 1) > event.step
    }


def growth(step: Step) -> Growth | None:
    """What both the first and the last step left behind, from the same lines and of the same sizes: each further one
    will leave as much. What only the first left is a cache, and what is replaced doesn't grow."""
    freed = {event.id for event in step.events if event.kind == "free"}
    left: dict[int, Counter[tuple[object, ...]]] = {}
    events: dict[tuple[object, ...], Event] = {}
    for event in step.events:
        is_left = event.kind == "alloc" and event.id not in freed and event.step > 0
        if is_left and event.category in _OF_A_STEP:
            key = (event.site and event.site.at, event.module, event.operation, event.size)
            left.setdefault(event.step, Counter())[key] += 1
            events[key] = event
    if step.iterations not in left or 1 not in left or step.iterations == 1:
        return None
    both = left[1] & left[step.iterations]
    alive = [events[key] for key, count in both.items() for _ in range(count)]
    size = sum(event.size for event in alive)
    return Growth(size, _most(iter(alive))) if size else None


def _most(events: Iterator[Event]) -> Site | None:
    sizes: Counter[Span] = Counter()
    sites: dict[Span, Site] = {}
    for event in events:
        if event.site is not None:
            sizes[event.site.at] += event.size
            sites[event.site.at] = event.site
    return sites[max(sizes, key=lambda at: sizes[at])] if sizes else None
