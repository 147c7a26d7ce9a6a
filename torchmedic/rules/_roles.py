"""What the calls of a model were for, told by what happened to their results and not by the names of variables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from torchmedic.model import Span
from torchmedic.observed.run import Forward, Run

Role = Literal["train", "evaluate", "other"]
_EVALUATES = re.compile(
    r"(^|_)(val|valid|validate|validation|test|eval|evaluate|evaluation|predict|score|accuracy)(_|$|\d)",
    re.I,
)
_ACTS = re.compile(r"(^|_)(mc|dropout|uncertainty|adapt|bn|attack|saliency|act|explore)(_|$)", re.I)


class Place(NamedTuple):
    """One call site and model, over all passes of the loaders that fed it."""

    at: Span
    forwards: tuple[Forward, ...]

    @property
    def calls(self) -> int:
        return sum(f.calls for f in self.forwards)


def role(forward: Forward, trained: frozenset[int], is_over: bool = True) -> Role:
    """`trained`: ids of the parameters that an optimizer has changed. Without evidence the role is "other".

    While the run is going on, a result that holds an unused graph may still be trained with.
    """
    if forward.owner or not forward.parameters & trained or not forward.looked:
        return "other"
    if forward.waiting and not is_over:
        return "other"
    if forward.consumed:
        return "train" if forward.consumed * 2 >= forward.looked else "other"
    if forward.flowed or not forward.later or forward.is_dropped:
        return "other"
    function = forward.by[0].function.rpartition(".")[2]
    if _ACTS.search(function):
        return "other"
    is_fed = bool(forward.loader) and forward.most >= 2
    return "evaluate" if _EVALUATES.search(function) or is_fed else "other"


def trained(run: Run) -> frozenset[int]:
    return frozenset[int]().union(*(o.holds for o in run.optimizers if o.steps))


def places(run: Run, wanted: Role) -> Iterator[Place]:
    """Where every call that was seen had this role, in the order of their first calls."""
    changed = trained(run)
    found: dict[tuple[Span, int], list[Forward]] = {}
    for forward in run.forwards:
        found.setdefault((forward.by[0].at, forward.root), []).append(forward)
    for (at, _), forwards in found.items():
        roles = {role(f, changed, run.is_over) for f in forwards if f.later or wanted == "train"}
        if roles == {wanted}:
            yield Place(at, tuple(f for f in forwards if f.later or wanted == "train"))
