"""`torchmedic.plan`: what a training step would take on a card, and the largest batch that fits, without a card."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

from torchmedic.model import Text
from torchmedic.observed.plan import (
    Card,
    Change,
    Guess,
    NotReplayable,
    Plan,
    Ranks,
    Remedy,
    Step,
)
from torchmedic.observed.plan_notes import ASSUMED, INCOMPLETE, NOT_FOUND, SETTING
from torchmedic.planning.cards import card_of, with_memory
from torchmedic.planning.kept import growth
from torchmedic.planning.largest import Tried, bracket, largest
from torchmedic.planning.options import Options, options_of
from torchmedic.planning.remedies import of, tried
from torchmedic.planning.simulation import peak_of, simulate

Loss = Callable[[Any, Any], Any]
Changes = Callable[[Step], Iterable[Change]]
CAPABILITY = (8, 0)  # where no card is named
SECONDS = 120.0  # for one replay
SEARCHES = 16  # replays that look for the largest batch


class MemoryPlan(Plan):
    """A plan that shows itself: as text, and as HTML in a notebook. Sizes are bytes."""

    __slots__ = ()

    def __str__(self) -> str:
        from torchmedic.planning.report import WIDTH, render

        return render(self, "en", WIDTH, False)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(str(self))}</pre>"


def plan(
    model: Any,
    optimizer: Any,
    batch: Any,
    loss: Loss | Sequence[Loss] | None = None,
    *,
    gpu: str | None = None,
    memory: str | None = None,
    batch_size: int | None = None,
    autocast: Literal["bf16", "fp16"] | None = None,
    search: bool = True,
    remedies: bool = False,
    ddp: int | None = None,
    fsdp: int | None = None,
    seconds: float = SECONDS,
) -> MemoryPlan:
    """The peak of a training step in bytes, what holds it, and with a card the largest batch that fits.

    `batch`: tensors in tuples, lists and dicts, of any size: `batch_size` sets another first size. `loss(model, batch)`
    returns a scalar; a criterion (`nn.CrossEntropyLoss()`) stands for `criterion(model(x), y)` of a batch `(x, y)`, and
    None for `model(**batch).loss`. Several optimizers take as many losses. `gpu`: "a100-40", or `memory`: "24GiB".
    Nothing of the caller's changes, and nothing of the step's size is allocated: see docs/plan.md for what is exact.
    `PYTORCH_CUDA_ALLOC_CONF` is followed. `remedies`: what accumulation, autocast, checkpointing and other optimizers
    would save for this very step, each replayed. `ddp`, `fsdp`: the step is that of one rank of so many, each with a
    `batch` of its own, under `DistributedDataParallel` or `fully_shard`. `seconds`: the most for one replay.

    Raises NotReplayable for a step that can't be replayed, and ValueError for an unknown card, an impossible memory, or
    settings of the allocator that PyTorch refuses, or numbers of ranks that aren't 1 or more.
    """
    ranks = ranks_of(ddp, fsdp)
    from torchmedic.probes.planner import replay

    if gpu is not None and memory is not None:
        raise ValueError("give `gpu` or `memory`, not both")
    card = card_of(gpu) if gpu is not None else with_memory(memory) if memory is not None else None
    options = options_of(os.environ)
    losses = [_loss(one) for one in loss] if isinstance(loss, (list, tuple)) else _loss(loss)

    def replayed(size: int | None) -> Step:
        return replay(
            model,
            optimizer,
            batch,
            losses,
            batch_size=size,
            capability=card.capability if card else CAPABILITY,
            autocast=autocast,
            ranks=ranks,
            seconds=seconds,
        )

    changed: Changes | None = None
    if remedies:
        if isinstance(losses, list) or isinstance(optimizer, (list, tuple)):
            raise ValueError("remedies are tried for one optimizer and one loss")
        from torchmedic.probes.planner.remedies import changes

        def changed(step: Step) -> Iterable[Change]:
            return changes(
                model,
                optimizer,
                batch,
                losses,
                batch_size=batch_size,
                capability=card.capability if card else CAPABILITY,
                autocast=autocast,
                ranks=ranks,
                seconds=seconds,
            )

    return planned(replayed, batch_size, card, options, search, changed)


def planned(
    replayed: Callable[[int | None], Step],
    batch_size: int | None,
    card: Card | None,
    options: Options,
    search: bool = True,
    changes: Changes | None = None,
    always: bool = True,
) -> MemoryPlan:
    """Of any step that can be replayed with a batch size. `search`: for the largest batch, if there is a card.

    `changes` of the step are replayed too; what can't be is left out. Not `always`: only if it doesn't fit.
    """
    step = replayed(batch_size)
    whole = simulate(step, options=options)
    peak = peak_of(step, whole, options)
    limited = simulate(step, card.usable, options) if card else whole
    found = None
    errors: list[Text] = []
    size = step.batch_size
    smaller: dict[int, Step] = {}  # the largest that fitted
    known = {size: Tried(limited.fits, whole.allocated)} if size is not None else {}
    if card is not None and search and size is not None:

        def attempt(batch: int) -> Tried:
            if batch in known:
                return known[batch]
            other = replayed(batch)
            fits = simulate(other, card.usable, options).fits
            if fits and batch > max(smaller, default=0):
                smaller.clear()
                smaller[batch] = other
            known[batch] = Tried(fits, simulate(other, options=options).allocated)
            return known[batch]

        try:
            found = largest(attempt, card.usable, size, replays=SEARCHES)
        except NotReplayable as error:
            errors.append(NOT_FOUND.fill(reason=error.said))
            found = bracket(known)
    remedies: tuple[Remedy, ...] = ()
    if changes is not None and (always or not limited.fits):
        smaller_ones = [
            of("smaller batch", f"{batch:,}", other, whole, card, options)
            for batch, other in smaller.items()
            if size is not None and batch < size
        ]
        remedies = tried(smaller_ones, changes(step), step, whole, card, options)
    notes = [*step.not_modelled, *_guessed(step.guesses)]
    notes += [SETTING.fill(setting=setting) for setting in options.not_modelled]
    if not step.is_complete:
        notes.append(INCOMPLETE)
    return MemoryPlan(
        card,
        size,
        whole.allocated,
        whole.reserved,
        limited.fits,
        peak.by_category if peak else (),
        peak.by_module if peak else (),
        peak.moment if peak else None,
        found,
        remedies,
        notes=tuple(notes),
        errors=tuple(errors),
        growth=growth(step),
        ranks=step.ranks,
    )


def ranks_of(ddp: object = None, fsdp: object = None) -> Ranks | None:
    """Raises ValueError for both at once, and for what isn't a whole number of 1 or more."""
    if ddp is not None and fsdp is not None:
        raise ValueError("give `ddp` or `fsdp`, not both")
    for kind, count in (("ddp", ddp), ("fsdp", fsdp)):
        if count is None:
            continue
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise ValueError(f"`{kind}` is a number of ranks, 1 or more, not {count!r}")
        return Ranks("ddp" if kind == "ddp" else "fsdp", count)
    return None


def _loss(given: Any) -> Loss:
    if given is None:
        return lambda model, batch: model(**batch).loss
    nn: Any = sys.modules["torch"].nn
    if isinstance(given, nn.Module) or getattr(given, "__module__", "") == "torch.nn.functional":
        return lambda model, batch: given(model(batch[0]), batch[1])
    if not callable(given):
        raise ValueError(f"`loss` must be callable, not {type(given).__name__}")
    return given  # type: ignore[no-any-return]


def _guessed(guesses: Iterable[Guess]) -> Iterator[Text]:
    """One sentence for each kind and line."""
    times: Counter[tuple[str, str]] = Counter()
    for guess in guesses:
        at = guess.site.at if guess.site else None
        place = f" ({os.path.basename(at.path)}:{at.line})" if at else ""
        times[guess.kind, place] += guess.times
    for (kind, place), count in times.items():
        yield ASSUMED.fill(count=count, kind=kind, place=place)
