"""What a watched program drew from its DataLoaders and from its random generators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torchmedic.model import Span
from torchmedic.observed.failure import Site, Value


class DatasetRun(NamedTuple):
    """A dataset as its first pass found it; what `Subset`s stand around it, outermost first, are its `wraps`.

    `held`: ids of its containers, which tell whether another dataset holds the same ones. `most`: one more than the
    highest index that the wraps let through; None without wraps, and where that can't be told. `generators`: names of
    its attributes that are random generators of its own.
    """

    id: int
    type: str
    at: Span | None = None  # the class statement, if it is the user's
    is_iterable: bool = False
    containers: Mapping[str, Value] = {}  # its attributes with a length that stayed the same
    attributes: Mapping[str, Value] = {}  # its other plain attributes
    held: Mapping[str, int] = {}
    wraps: tuple[str, ...] = ()
    most: int | None = None
    generators: tuple[str, ...] = ()


class PassRun(NamedTuple):
    """One pass over a loader.

    `labels`: the lowest and the highest class label of each batch, as far as they were looked at. `is_classified`:
    these labels went into a classification loss. `repeats`: rounds of the workers in which each of them gave the same
    batch, of `rounds` that were compared.
    """

    number: int
    by: tuple[Site, ...] = ()
    batches: int = 0
    steps: int = 0  # of any optimizer, until its last batch
    labels: tuple[tuple[int, int], ...] = ()
    is_classified: bool = False
    rounds: int = 0
    repeats: int = 0


class LoaderRun(NamedTuple):
    """One DataLoader that was iterated. `passes` holds the first four of those that were `begun`.

    `sampler`: the class's name, "" for one that is not torch's. `is_shuffle_given`: its constructor got `shuffle=`.
    """

    made_by: tuple[Site, ...]
    dataset: DatasetRun
    batch_size: int | None = None
    drop_last: bool = False
    sampler: str = ""
    is_shuffle_given: bool = True
    workers: int = 0
    has_worker_init: bool = False
    has_collate_fn: bool = False
    owner: str = ""
    begun: int = 0
    passes: tuple[PassRun, ...] = ()


class Sliced(NamedTuple):
    """Labels that one place cut out of one tensor, in whole passes from its first element to its last.

    `passes`: the lowest and the highest label of each slice. `steps`: from the first slice of a pass to its last, at least.
    """

    by: tuple[Site, ...]  # the loss that got them
    passes: tuple[tuple[tuple[int, int], ...], ...] = ()
    steps: int = 0
    size: int = 0  # of the first slice
    owner: str = ""


class Seeded(NamedTuple):
    """A seed was set. `generator`: "torch" or "cuda"; `is_late`: torch's numbers had been drawn before."""

    generator: str
    by: tuple[Site, ...]
    is_late: bool = False


class SeedsRun(NamedTuple):
    """The random generators from the start of the program to its first optimizer step.

    `first`: the first layer or initialiser that drew from torch's default generator without a seed. `before` and
    `after`: the last place where nothing had been drawn yet, and the first one where something had; `before` is empty
    at the program's start. `others`: generators of other libraries that have a seed. `files`: those of the program in
    the folder of the main one, which comes first.
    """

    is_whole: bool = False  # watched from the program's start to a step
    is_drawn: bool = False
    is_seeded: bool = False
    first: tuple[Site, ...] = ()
    is_first: bool = False  # and nothing else drew before
    before: tuple[Site, ...] = ()
    after: tuple[Site, ...] = ()
    seeds: tuple[Seeded, ...] = ()
    others: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
