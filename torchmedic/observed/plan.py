"""The memory of training steps that were replayed and never run, and what is to be shown of it. All sizes are bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

from torchmedic.model import Text
from torchmedic.observed.failure import Site

Category = Literal[
    "parameters",
    "buffers",
    "batch",
    "gradients",
    "optimizer state",
    "activations",
    "temporaries",
    "workspace",
    "communication",
]
CATEGORIES: tuple[Category, ...] = get_args(Category)
Phase = Literal["setup", "data", "forward", "backward", "optimizer"]


class Event(NamedTuple):
    """Storage that was taken or given back. An `id` is used once: the storage has one "alloc" and at most one "free".

    A "free" repeats size, category, module, operation and site of its "alloc"; `phase` and `step` are those of the
    event itself. `size`: bytes asked for, before any rounding, may be 0. `module`: path in the model, "" outside of it
    and for the root; for what a backward pass takes, the module whose forward pass it belongs to. `operation`: as
    PyTorch names it, "aten::addmm". `site`: the user's line, of the forward pass too.
    `step`: 0 before the first step, then 1, 2.
    """

    kind: Literal["alloc", "free"]
    id: int
    size: int
    category: Category = "temporaries"
    phase: Phase = "setup"
    module: str = ""
    operation: str = ""
    site: Site | None = None
    step: int = 0


class Guess(NamedTuple):
    """Answers that depend on values, which a replay doesn't have, given `times` times in one place.

    `kind` says what was assumed: "item" (1, or False), "equal" (False); "nonzero", "masked_select", "boolean index"
    (all true, an upper bound); "unique" (all values differ), "packed sequence" (all as long as the longest).
    """

    kind: str
    times: int
    site: Site | None = None


class Ranks(NamedTuple):
    """So many processes train one model, each with a card and a batch of its own. A step is that of rank 0.

    "ddp": `DistributedDataParallel`, each has the whole model. "fsdp": `fully_shard`, each has a part of every parameter.
    """

    kind: Literal["ddp", "fsdp"]
    world_size: int


class Step(NamedTuple):
    """One replay: setup, then `iterations` training steps of one batch size.

    `guesses`: those on the user's own lines; `not_modelled`: what is known to be missing, each a sentence.
    `is_complete`: every iteration ran to its end and the optimizer stepped in each. `capability`: compute capability
    of the pretend card, None for the CPU. `seconds`: how long the replay took. `used_again`: ids of storages that an
    operation was given in a later step than their own. `ranks`: None for one process.
    """

    events: tuple[Event, ...]
    device: Literal["cuda", "cpu"] = "cuda"
    batch_size: int | None = None
    iterations: int = 2
    guesses: tuple[Guess, ...] = ()
    not_modelled: tuple[Text, ...] = ()
    is_complete: bool = True
    capability: tuple[int, int] | None = None
    seconds: float = 0.0
    used_again: frozenset[int] = frozenset()
    ranks: Ranks | None = None


class Change(NamedTuple):
    """A changed step. `name` and `detail` as in `Remedy`. `replayed` raises NotReplayable where it can't be replayed."""

    name: str
    replayed: Callable[[], Step]
    detail: str = ""


class NotReplayable(Exception):
    """A training step that can't be replayed. `reason`: one sentence; `operation`: what prevents it, "" if unknown.

    `said`: the reason in both languages, but for what PyTorch says.
    """

    def __init__(self, reason: Text | str, operation: str = "", site: Site | None = None) -> None:
        self.said = reason if isinstance(reason, Text) else Text(reason, reason)
        self.reason = self.said.en
        super().__init__(self.reason)
        self.operation = operation
        self.site = site


class Card(NamedTuple):
    """`total`: what the driver reports; `usable`: less the CUDA context and a margin."""

    name: str
    total: int
    usable: int
    capability: tuple[int, int] = (8, 0)


class Share(NamedTuple):
    """What a module, or a line, holds at the peak."""

    module: str
    size: int
    operation: str = ""
    site: Site | None = None


class Moment(NamedTuple):
    """Where the peak is. `event`: its index in `Step.events`."""

    event: int
    phase: Phase
    step: int
    module: str = ""
    operation: str = ""
    site: Site | None = None


class Largest(NamedTuple):
    """Largest batch that fits: both ends were simulated.

    `fits`: 0 if not even one sample does. `does_not`: the smallest above it that was found not to fit, None if none
    was. `peak`: bytes allocated at `fits`. `replays`: how many it took.
    """

    fits: int
    does_not: int | None
    peak: int = 0
    replays: int = 0


class Remedy(NamedTuple):
    """A change of the step, simulated. `saved`: bytes of the allocated peak, negative if it costs. `fits`: on the card.

    `name` and `detail`: "smaller batch" (of so many), "accumulate" and "accumulate with batch norm" (in so many parts),
    "bf16", "fp16", "checkpoint" (so many blocks), "fused", "not foreach", "8-bit", "plain SGD", "kept" (by that line);
    "expandable segments" and "empty cache" change what is reserved, never what is allocated.
    """

    name: str
    allocated: int
    reserved: int
    saved: int
    detail: str = ""
    fits: bool | None = None


class Growth(NamedTuple):
    """What each step leaves behind, in bytes; `site`: the line that makes most of it."""

    size: int
    site: Site | None = None


class Plan(NamedTuple):
    """What is shown. Shares are taken at the peak of what is allocated."""

    card: Card | None
    batch_size: int | None
    allocated: int
    reserved: int
    fits: bool
    by_category: tuple[tuple[Category, int], ...] = ()
    by_module: tuple[Share, ...] = ()
    moment: Moment | None = None
    largest: Largest | None = None
    remedies: tuple[Remedy, ...] = ()
    notes: tuple[Text, ...] = ()
    errors: tuple[Text, ...] = ()
    growth: Growth | None = None
    ranks: Ranks | None = None
