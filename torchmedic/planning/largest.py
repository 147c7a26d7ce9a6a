"""The largest batch that fits, from few replays: a line through what is known proposes, a replay on the full card decides.

What a step needs is a maximum of straight lines in the batch size (one for each moment that may be the peak), with jumps
where the allocator rounds. Fragmentation makes "fits" not quite monotonic: the answer is a bracket whose two ends were both
simulated, and no proof for every size below.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torchmedic.observed.plan import Largest

MOST = 1 << 24  # a batch beyond this is not looked for
MOST_REPLAYS = 24
TOLERANCE = 0.01
AIMS = (
    1.0,
    0.94,
    0.88,
    0.8,
    0.7,
)  # of the card, after so many sizes that failed although their bytes would fit
BISECT_AFTER = 8  # replays


class Tried(NamedTuple):
    """One batch size on the card. `allocated`: the peak in bytes without a limit."""

    fits: bool
    allocated: int


def largest(
    attempt: Callable[[int], Tried],
    usable: int,
    first: int,
    tolerance: float = TOLERANCE,
    most: int = MOST,
    replays: int = MOST_REPLAYS,
) -> Largest:
    """Searches from `first`, the user's own batch size, until the bracket is narrower than `tolerance` of its lower end.

    `tolerance` 0 gives the exact border. `usable`: bytes of the card. Errors of `attempt` are raised.
    """
    tried: dict[int, Tried] = {}

    def fits(size: int) -> bool:
        if size not in tried:
            tried[size] = attempt(size)
        return tried[size].fits

    first = min(max(first, 1), most)
    if fits(first):
        fits(min(2 * first, most))
    elif first > 1:
        fits(first // 2)
    while len(tried) < replays:
        below, above = _bracket(tried)
        if below >= most or above == 1:
            break
        if above is not None and above - below <= max(1, int(tolerance * below)):
            break
        fits(_next(tried, usable, below, above, tolerance, most))
    below, above = _bracket(tried)
    peak = tried[below].allocated if below else 0
    return Largest(below, above, peak, len(tried))


def bracket(tried: dict[int, Tried]) -> Largest | None:
    """Of a search that was ended early: None unless both ends are known."""
    below, above = _bracket(tried)
    if not below or above is None:
        return None
    return Largest(below, above, tried[below].allocated, len(tried))


def _bracket(tried: dict[int, Tried]) -> tuple[int, int | None]:
    """The largest size that fits, and the smallest above it that doesn't."""
    below = max((size for size, found in tried.items() if found.fits), default=0)
    above = [size for size, found in tried.items() if not found.fits and size > below]
    return below, min(above, default=None)


def _next(
    tried: dict[int, Tried],
    usable: int,
    below: int,
    above: int | None,
    tolerance: float,
    most: int,
) -> int:
    step = max(1, int(tolerance * below))
    guess = _line(tried, usable, below, above)
    if above is None:
        return min(max(guess, below + step), most)
    if not below:
        return min(max(guess, 1), above - 1)
    if len(tried) > BISECT_AFTER:
        return (below + above) // 2
    margin = max(1, int(0.6 * tolerance * below))
    return min(max(min(max(guess, below + margin), above - margin), below + 1), above - 1)


def _line(tried: dict[int, Tried], usable: int, below: int, above: int | None) -> int:
    """Where the line through the two sizes nearest to the border meets the card."""
    nearest = sorted(tried, key=lambda size: abs(size - (above or below)))[:2]
    start, end = min(nearest), max(nearest)
    rise = tried[end].allocated - tried[start].allocated
    if rise <= 0:  # the peak is where the batch doesn't matter, in the optimizer
        return 4 * end
    slope = rise / max(1, end - start)
    fragmented = sum(not t.fits and t.allocated <= usable for t in tried.values())
    aim = usable * AIMS[min(fragmented, len(AIMS) - 1)]
    return int(start + (aim - tried[start].allocated) / slope)
