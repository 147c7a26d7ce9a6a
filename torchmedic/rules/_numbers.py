"""What the numbers of a run say for certain: a loss that runs away, a program that handles infinities itself."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from torchmedic.observed import Site, load
from torchmedic.observed.run import Run
from torchmedic.rules._run import callee

if TYPE_CHECKING:
    from torchmedic.observed.run_numbers import Losses, Rates

FEWEST = 10  # finite losses
GROWTH = 1e6  # the last against the first
SMALLEST = 1e-3  # first loss: smaller ones make any ratio
LAST = 8  # losses, each of them RISING times the one before
RISING = 1.5
FEWEST_STEEP = 5  # finite losses, each of them STEEP times the one before
STEEP = 3.0
FEWEST_STUCK = 30  # losses
# Each moves an element by about the learning rate, however small its gradient is.
OF_FIXED_LENGTH = ("Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop")
LARGEST_RATE = (
    1.0  # of these: at no point does one of them need more for weights as layers draw them
)
SOON = 5  # steps, behind one of which the loss was THROWN times the first
THROWN = 10.0
NO_GAIN = 0.9  # times the first loss, and lower it never was


class Divergence(NamedTuple):
    losses: Losses
    rates: Rates
    first: float
    last: float
    steps: int
    is_over: bool  # it ended in NaN or infinity


def divergence(run: Run) -> Divergence | None:
    """A loss that grew without an end at a rate that the program chose.

    In a library's loop, only if the program made the optimizer and the rate was never changed: looking for a rate is
    one of the things that such loops do.
    """
    found = diverging(run)
    if found is None or not (found.rates.owner or found.losses.owner):
        return found
    rates = found.rates
    made = callee(rates.made_by[0]).rpartition(".")[2]
    return found if made == rates.type and rates.lowest == rates.highest else None


def diverging(run: Run) -> Divergence | None:
    """One optimizer, one loss, and that grew without an end. Several of them may pull against each other."""
    stepped = [r for r in run.rates if r.steps]
    losses = [v for v in run.values if len(v.values) >= FEWEST_STEEP]
    if len(stepped) != 1 or len(losses) != 1 or len(run.values) != 1:
        return None
    [rates], [one] = stepped, losses
    if not rates.is_torch or not rates.made_by:
        return None
    values = [v.value for v in one.values]
    end = next((i for i, v in enumerate(values) if not math.isfinite(v)), len(values))
    finite, rest = values[:end], values[end:]
    if any(map(math.isfinite, rest)) or not (_is_steep(finite, rest) or _is_rising(finite)):
        return None
    step = one.values[end - 1].step + 1
    return Divergence(one, rates, finite[0], finite[-1], step, bool(rest))


def _is_steep(finite: list[float], rest: list[float]) -> bool:
    return len(finite) >= FEWEST_STEEP and bool(rest) and _grows(finite, STEEP)


def _is_rising(finite: list[float]) -> bool:
    """Without an end in infinity, only a factor in every step tells: returns of longer games grow too."""
    if len(finite) < FEWEST:
        return False
    first, last = abs(finite[0]), abs(finite[-1])
    is_far = first >= SMALLEST and last >= GROWTH * first
    return is_far and _grows(finite[-LAST:], RISING)


def _grows(values: list[float], factor: float) -> bool:
    return all(abs(b) > factor * abs(a) for a, b in pairwise(values))


class Thrown(NamedTuple):
    """A loss that the first steps threw far up, and that never came back to where it began."""

    losses: Losses
    rates: Rates
    first: float
    highest: float
    last: float


def thrown(run: Run) -> Thrown | None:
    """One optimizer whose steps have the length of its rate, one loss, and nothing was won by the end."""
    stepped = [r for r in run.rates if r.steps]
    if not run.is_at_rest or len(stepped) != 1 or len(run.values) != 1:
        return None
    [rates], [one] = stepped, run.values
    values = [v.value for v in one.values]
    is_meant = rates.owner or one.owner or not rates.is_torch or not rates.made_by
    is_fixed = rates.type in OF_FIXED_LENGTH and rates.lowest == rates.highest >= LARGEST_RATE
    if is_meant or not is_fixed or len(values) < FEWEST_STUCK or one.values[0].step:
        return None
    first, *rest = values
    soon = [v.value for v in one.values[1:] if v.step <= SOON]
    is_thrown = first > 0 and bool(soon) and max(soon) >= THROWN * first
    if not all(map(math.isfinite, values)) or not is_thrown or min(rest) < NO_GAIN * first:
        return None
    return Thrown(one, rates, first, max(rest), rest[-1])


def scales_gradients(by: tuple[Site, ...]) -> bool:
    """True if a file on the way to this place scales losses: infinite gradients are part of that."""
    sources = [(site.at.path, load(site.at.path)) for site in by]
    return any(
        not path.startswith("<") if source is None else "scaler" in source.text.lower()
        for path, source in sources
    )
