"""What would make a step smaller, each simulated: the greatest saving first, then what settings of the allocator change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from torchmedic.observed import Site
from torchmedic.observed.plan import Card, Change, NotReplayable, Remedy, Step
from torchmedic.planning.allocator import CachingAllocator
from torchmedic.planning.kept import freed_early
from torchmedic.planning.options import Options
from torchmedic.planning.simulation import Outcome, simulate

WORTH_TELLING = 0.01  # of the peak


def tried(
    known: Iterable[Remedy],
    changes: Iterable[Change],
    step: Step,
    before: Outcome,
    card: Card | None,
    options: Options,
) -> tuple[Remedy, ...]:
    """`known`: found out already. `before`: the step as it is, without a limit. What can't be replayed is left out."""
    found = [*known, *_kept(step, before, card, options)]
    for change in changes:
        with suppress(NotReplayable):
            after = change.replayed()
            if after.is_complete:
                found.append(of(change.name, change.detail, after, before, card, options))
    found.sort(key=lambda remedy: -remedy.saved)
    return (*found, *_settings(step, before, card, options))


def of(
    name: str, detail: str, after: Step, before: Outcome, card: Card | None, options: Options
) -> Remedy:
    outcome = simulate(after, options=options)
    fits = simulate(after, card.usable, options).fits if card else None
    saved = before.allocated - outcome.allocated
    return Remedy(name, outcome.allocated, outcome.reserved, saved, detail, fits)


def _kept(step: Step, before: Outcome, card: Card | None, options: Options) -> Iterator[Remedy]:
    early, site = freed_early(step)
    if site is not None:
        found = of("kept", _place(site), early, before, card, options)
        if found.saved >= WORTH_TELLING * before.allocated:
            yield found


def _place(site: Site) -> str:
    """File and line. The file by its name: a remedy is a short text."""
    return f"{site.at.path.replace(chr(92), '/').rsplit('/', 1)[-1]}:{site.at.line}"


def _settings(step: Step, before: Outcome, card: Card | None, options: Options) -> Iterator[Remedy]:
    """They change what is reserved."""
    if not options.expandable:
        growing = options._replace(expandable=True)
        yield of("expandable segments", "", step, before, card, growing)
    emptied = _emptied(step, None, options)
    fits = _emptied(step, card.usable, options).fits if card else None
    saved = before.allocated - emptied.allocated
    yield Remedy("empty cache", emptied.allocated, emptied.reserved, saved, "", fits)


def _emptied(step: Step, limit: int | None, options: Options) -> Outcome:
    """With `torch.cuda.empty_cache()` at the end of each step."""
    events = step.events

    def after(at: int, allocator: CachingAllocator) -> None:
        if at + 1 < len(events) and events[at + 1].step > max(events[at].step, 0):
            allocator.empty_cache()

    return simulate(step, limit, options, on_event=after)
