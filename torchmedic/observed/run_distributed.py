"""What a program did with the processes of a distributed job: its wrapped models and its shuffled passes."""

from __future__ import annotations

from typing import NamedTuple

from torchmedic.observed.failure import Site


class Wrapped(NamedTuple):
    """A model that a DistributedDataParallel wraps. Calls of any model are counted as in `Forward.first`.

    `is_called`: the wrapper was called at some time; None if that can't be told. `steps`: of any optimizer, in windows,
    after which it still had not been called.
    """

    type: str
    parameters: frozenset[int]
    by: tuple[Site, ...]
    since: int = 0  # calls before it was wrapped
    until: int | None = None  # calls when the model was gone; None: it is there
    is_called: bool | None = None
    steps: int = 0


class SampledPass(NamedTuple):
    """A pass over a loader whose DistributedSampler shuffles. Its order follows from seed and epoch alone."""

    number: int
    sampler: int
    seed: int
    epoch: int
    is_batched: bool = False  # the sampler is that of the loader's batch sampler
    by: tuple[Site, ...] = ()
