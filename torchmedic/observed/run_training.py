"""What a watched program trained: its optimizers, the calls of its models, and whether one batch can be learned."""

from __future__ import annotations

from typing import NamedTuple

from torchmedic.observed.failure import Site


class OptimizerRun(NamedTuple):
    """One optimizer. What was in its gradients is told by their identity and version, not by the order of calls.

    `stale`: steps whose gradients still held those of the step before. `thrown`: steps that found nothing, because
    what a backward pass had computed was cleared before, without a forward pass in between; `early`: with one.
    `empty`: steps that found nothing. `narrow`: steps that used one backward pass, after the gradients of others since the
    step before had been cleared. `owner`: the library that calls its `step`, "" for the user's own code.
    """

    id: int
    type: str
    holds: frozenset[int] = frozenset()  # ids of its parameters
    made_by: tuple[Site, ...] = ()
    steps: int = 0
    stale: int = 0
    thrown: int = 0
    early: int = 0
    empty: int = 0
    backwards: int = 0  # backward passes that changed its gradients
    is_closure: bool = False
    has_stepped: bool = False  # at any time, watched or not
    clearings: int = 0  # calls of `zero_grad`
    owner: str = ""
    stepped_by: tuple[Site, ...] = ()  # the first call of `step`, then the calls around it
    backward_by: tuple[tuple[Site, ...], ...] = ()  # every place whose backward passes reached it
    cleared_by: tuple[Site, ...] = ()  # the last call of `zero_grad`
    narrow: int = 0
    dropped: int = 0  # backward passes whose gradients were cleared before the judged steps
    most_used: int = 0  # backward passes by one step
    dropped_by: tuple[
        tuple[Site, ...], ...
    ] = ()  # every place that cleared gradients before a step used them


class Forward(NamedTuple):
    """The calls of one model from one place, fed by one pass over a DataLoader (or by none).

    `consumed`: a backward pass came through the result. `flowed`: the result went into another model. `most`: calls
    without a step between them. `later`: calls after the first step of any optimizer. `layers`: those whose
    result depends on the mode and that were in training mode, when the model was, by their names in it.
    """

    by: tuple[Site, ...]
    root: int
    type: str
    parameters: frozenset[int] = frozenset()
    loader: int = 0  # number of the pass; 0: none
    source: int = 0  # id of the DataLoader
    loader_by: tuple[Site, ...] = ()  # where that pass was begun
    first: int = 0  # which call of any model the first one was
    calls: int = 0
    looked: int = 0  # calls whose results were followed: the shares below are of these
    consumed: int = 0
    flowed: int = 0
    with_grad: int = 0
    in_training: int = 0
    frozen: int = 0  # calls in evaluation mode, with gradients on, after calls in training mode
    later: int = 0
    most: int = 0
    is_dropped: bool = False  # the program does nothing with the result
    layers: tuple[str, ...] = ()
    graph_bytes: int | None = None  # what one result keeps for a backward pass
    owner: str = ""
    waiting: int = 0  # results that still hold a graph which no backward pass has used
    meant: int = (
        0  # calls in training mode after `train()` was called for them: no step came in between
    )
    eval_by: tuple[Site, ...] = ()  # the call of `eval()` whose mode was met last


class OverfitRun(NamedTuple):
    """One batch, trained on again and again on a copy. `losses`: with the program's own optimizer, before each step;
    `others`: with Adam at 0.01, if those did not fall by half. `why`: what prevented it.
    """

    by: tuple[Site, ...] = ()  # where the loss is computed
    optimizer: str = ""
    rates: tuple[float, ...] = ()  # learning rates of its groups
    losses: tuple[float, ...] = ()
    others: tuple[float, ...] = ()
    why: str = ""
