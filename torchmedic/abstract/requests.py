"""Items that a loader asks a Dataset for: which index, and what the Dataset's own code reads for it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from torchmedic.abstract.machine import Flow
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.values import Object, Value
from torchmedic.model import Span
from torchmedic.observed import Frame as ObservedFrame
from torchmedic.observed import Source
from torchmedic.observed.trace import Branch

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

# Where PyTorch stands between the user's loop and the user's `__getitem__`.
FETCHER = ObservedFrame(Span("torch/utils/data/_utils/fetch.py", 1), "fetch", is_user=False)
CALLER = ObservedFrame(Span("torch/nn/modules/module.py", 1), "_call_impl", is_user=False)


class Read(NamedTuple):
    """`container[key]`: `at` the subscript. `is_certain`: it is executed for every item."""

    source: Source
    at: ast.Subscript
    container: Value
    size: Size | None
    key: Size | None
    is_certain: bool


@dataclass(eq=False, repr=False)
class Request:
    """A loader asks for one item. `depth`, `branches`, `loops`: how many there were around it."""

    loader: Object | None
    dataset: Object | None
    depth: int
    branches: int
    loops: int
    reads: list[Read] = field(default_factory=list)
    has_failed: bool = False


@contextmanager
def request(machine: Machine, loader: Object | None, dataset: Value | None) -> Iterator[Request]:
    """What happens inside is done for an item of the dataset."""
    made = Request(
        loader,
        dataset if isinstance(dataset, Object) else None,
        len(machine.frames),
        len(machine.branches),
        len(machine.loops),
    )
    machine.requests.append(made)
    try:
        yield made
    finally:
        machine.requests.pop()


def is_certain(machine: Machine, made: Request) -> bool:
    """True if what is executed now is executed for every such item."""
    if len(machine.branches) > made.branches or machine.guards:
        return False
    if any(frame.exits for frame in machine.frames[made.depth :]):
        return False  # an arm before this one returned
    if any(loop.iteration > 0 for loop in machine.loops[made.loops :]):
        return False
    return not any(
        _is_conditional(frame.source, frame.node) for frame in machine.frames[made.depth :]
    )


def out_of_range(machine: Machine, message: str) -> None:
    """An index that does not exist. Below a request only what every such item comes to, and only the first of them."""
    asked = machine.requests[-1] if machine.requests else None
    if asked is None or (is_certain(machine, asked) and not asked.has_failed):
        machine.fail("IndexError", message)
        if asked is not None:
            asked.has_failed = True


def _is_conditional(source: Source, node: ast.AST | None) -> bool:
    """True in a comprehension with `if`, and behind `and` or `or`: no arm tells that these may not be executed."""
    inner = node
    while inner is not None and not isinstance(inner, (ast.stmt, ast.Lambda)):
        outer = source.parent(inner)
        if isinstance(outer, ast.comprehension):
            outer = source.parent(outer)
        if isinstance(outer, ast.BoolOp) and inner is not outer.values[0]:
            return True
        if isinstance(outer, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)) and any(
            g.ifs for g in outer.generators
        ):
            return True
        inner = outer
    return False


def tried(machine: Machine, work: Callable[[], object], keeps_failures: bool = False) -> None:
    """Executes it and takes everything back: what it wrote and drew, and what it would have raised."""
    events, failures, seen = len(machine.events), len(machine.failures), set(machine.failed)

    def arm() -> Flow:
        work()
        return Flow.NEXT

    try:
        machine.arm(Branch(machine.span(), 0), arm)
    finally:
        del machine.events[events:]
        if not keeps_failures:
            del machine.failures[failures:]
            machine.failed = seen
