"""How long a list is after a loop that appends to it: the same unknown number for every list that grows alike."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torchmedic.abstract.sizes import Size
from torchmedic.abstract.values import Sequence, Value
from torchmedic.observed.source import within

if TYPE_CHECKING:
    from torchmedic.abstract.machine import State

_LEAVING = (ast.Break, ast.Continue, ast.Return, ast.Raise, ast.Try)


@dataclass(eq=False, repr=False)
class Grown:
    """A list that a loop changes. `appends`: how many there are in each pass, all of them certain."""

    list: Sequence
    before: Size | None
    appends: dict[int, int] = field(default_factory=dict)
    is_regular: bool = True


@dataclass(eq=False, repr=False)
class Growth:
    """Of the lists in one loop. `length`: how often its body is executed."""

    length: Size | None
    branches: int
    lists: dict[int, Grown] = field(default_factory=dict)


def _is_left(node: ast.stmt) -> bool:
    """True if something in the loop's body leaves it early."""
    known: bool | None = getattr(node, "_torchmedic_is_left", None)
    if known is None:
        known = any(isinstance(part, _LEAVING) for part in within(node))
        node._torchmedic_is_left = known  # type: ignore[attr-defined]
    return known


@contextmanager
def growing(state: State, node: ast.stmt, over: Value) -> Iterator[None]:
    """Around a loop. Lengths are told only if nothing in its body leaves it early."""
    length = getattr(over, "length", None)  # of an exact sequence only the first items are walked
    growth = Growth(None if _is_left(node) else length, len(state.branches))
    state.growths.append(growth)
    try:
        yield
    finally:
        state.growths.pop()
    _settle(state, growth)


def changed(state: State, held: Sequence, is_append: bool) -> None:
    """A list is about to be changed: by one `append`, or in a way that isn't counted."""
    for growth in state.growths:
        known = growth.lists.setdefault(held.id, Grown(held, held.size))
        if (
            growth is not state.growths[-1]
            or not is_append
            or len(state.branches) > growth.branches
            or state.guards
            or not state.loops  # the loop's `else`
        ):
            known.is_regular = False
        else:
            at = state.loops[-1].iteration
            known.appends[at] = known.appends.get(at, 0) + 1


def _settle(state: State, growth: Growth) -> None:
    """The loop is done: lists that grew by the same number in every pass have a length again."""
    for grown in growth.lists.values() if growth.length is not None else ():
        each = set(grown.appends.values())
        is_regular = grown.is_regular and len(grown.appends) > 1 and len(each) == 1
        if not is_regular or grown.before is None or growth.length is None:
            continue
        if not (grown.list.is_exact or grown.list.escaped):
            state.set(grown.list, "length", grown.before + growth.length * each.pop())
