"""A replayed step on a card: its events go through the allocator, and the moment of the peak is looked into."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from typing import NamedTuple, TypeVar

from torchmedic.observed.plan import Category, Event, Moment, Share, Step
from torchmedic.planning.allocator import CachingAllocator, OnAction, OutOfMemory
from torchmedic.planning.options import Options

K = TypeVar("K", bound=Hashable)


class Refused(NamedTuple):
    """The request that a full card could not meet. `event`: its index; all sizes in bytes."""

    event: int
    wanted: int
    allocated: int
    reserved: int


class Outcome(NamedTuple):
    """Peaks in bytes. `peak`: index of the event that reached the allocated one, -1 without events.

    `by_step`: the allocated peak within each step, from step 0 on. `retries`: how often cached segments were given back.
    """

    allocated: int
    reserved: int
    requested: int
    peak: int
    by_step: tuple[int, ...]
    retries: int = 0
    refused: Refused | None = None

    @property
    def fits(self) -> bool:
        return self.refused is None


def simulate(
    step: Step,
    limit: int | None = None,
    options: Options | None = None,
    on_event: Callable[[int, CachingAllocator], None] = lambda at, allocator: None,
    on_action: OnAction = lambda action, address, size: None,
) -> Outcome:
    """The step on a card with that limit, until it ends or is refused memory. `on_event` is called after each event."""
    allocator = CachingAllocator(limit, options, on_action)
    highest, peak, refused = 0, -1, None
    by_step: list[int] = []
    for at, event in enumerate(step.events):
        by_step += [allocator.allocated] * (event.step + 1 - len(by_step))
        try:
            _apply(event, allocator)
        except OutOfMemory as error:
            refused = Refused(at, error.wanted, error.allocated, error.reserved)
            break
        if allocator.allocated > highest:
            highest, peak = allocator.allocated, at
        by_step[-1] = max(by_step[-1], allocator.allocated)
        on_event(at, allocator)
    return Outcome(*allocator.peaks, peak, tuple(by_step), allocator.retries, refused)


def _apply(event: Event, allocator: CachingAllocator) -> None:
    if event.kind == "alloc":
        allocator.alloc(event.id, event.size)
    else:
        allocator.free(event.id)


class Peak(NamedTuple):
    """What is held at one event: bytes in blocks, so that the parts add up to what is allocated."""

    moment: Moment
    by_category: tuple[tuple[Category, int], ...]  # largest first
    by_module: tuple[Share, ...]  # largest first, with the operation that took most of it


def peak_of(step: Step, outcome: Outcome, options: Options | None = None) -> Peak | None:
    """The moment of the allocated peak; None for a step without events."""
    if outcome.peak < 0:
        return None
    held: dict[int, tuple[Event, int]] = {}
    allocator = CachingAllocator(None, options)
    for event in step.events[: outcome.peak + 1]:
        _apply(event, allocator)
        if event.kind == "free":
            held.pop(event.id, None)
        elif event.id in allocator.blocks:
            held[event.id] = event, allocator.blocks[event.id].size
    last = step.events[outcome.peak]
    moment = Moment(outcome.peak, last.phase, last.step, last.module, last.operation, last.site)
    alive = list(held.values())
    by_module = []
    for module, size in _summed(alive, lambda event: event.module):
        largest = max(
            (pair for pair in alive if pair[0].module == module), key=lambda pair: pair[1]
        )
        by_module.append(Share(module, size, largest[0].operation, largest[0].site))
    return Peak(moment, tuple(_summed(alive, lambda event: event.category)), tuple(by_module))


def _summed(alive: list[tuple[Event, int]], key: Callable[[Event], K]) -> list[tuple[K, int]]:
    sums: Counter[K] = Counter()
    for event, size in alive:
        sums[key(event)] += size
    return sums.most_common()
