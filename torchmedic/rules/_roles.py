"""What the calls of a model were for, told by what happened to their results and not by the names of variables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

from torchmedic.model import Span
from torchmedic.observed.run import Run

if TYPE_CHECKING:
    from torchmedic.observed.run_training import Forward

Role = Literal["train", "evaluate", "other"]
_EVALUATES = r"(?i)(^|_)(val|valid|validate|validation|test|eval|evaluate|evaluation|predict|score|accuracy)(_|$|\d)"
_ACTS = r"(?i)(^|_)(mc|dropout|uncertainty|adapt|bn|attack|saliency|act|explore)(_|$)"


class Place(NamedTuple):
    """One call site, model and loader, over all passes of this."""

    at: Span
    forwards: tuple[Forward, ...]

    @property
    def calls(self) -> int:
        return sum(f.calls for f in self.forwards)


class Roles:
    """The roles of all calls of a run. Without evidence a role is "other"."""

    def __init__(self, run: Run) -> None:
        self.run = run
        held = (o.holds for o in run.optimizers if o.steps)
        self.trained = frozenset[int]().union(*held)
        consumed = [f for f in run.forwards if f.consumed]
        self.training_passes = {f.loader for f in consumed} - {0}
        self.training_functions = {_function(f) for f in consumed if not f.loader}

    def role(self, forward: Forward) -> Role:
        """While the run is going on, a result that holds an unused graph may still be trained with."""
        if forward.owner or not forward.parameters & self.trained or not forward.looked:
            return "other"
        if forward.waiting and not self.run.is_over:
            return "other"
        if forward.consumed:
            return "train" if forward.consumed * 2 >= forward.looked else "other"
        if forward.flowed or not forward.later or forward.is_dropped:
            return "other"
        function = forward.by[0].function.rpartition(".")[2]
        if re.search(_ACTS, function) or forward.loader in self.training_passes:
            return "other"
        if not forward.loader and _function(forward) in self.training_functions:
            return "other"
        is_off = not forward.with_grad or (not forward.in_training and bool(forward.eval_by))
        is_fed = bool(forward.loader) and (forward.most >= 2 or is_off)
        return "evaluate" if re.search(_EVALUATES, function) or is_fed else "other"

    def places(self, wanted: Role) -> Iterator[Place]:
        """In the order of their first calls. Those that evaluate do so in every call that was seen."""
        found: dict[tuple[Span, int, int], list[Forward]] = {}
        for forward in self.run.forwards:
            at, root, source = forward.by[0].at, forward.root, forward.source
            if wanted == "train" and self.role(forward) == "train":
                found.setdefault((at, root, 0), []).append(forward)
            elif wanted != "train" and forward.later:
                found.setdefault((at, root, source), []).append(forward)
        for (at, *_), forwards in found.items():
            if {self.role(f) for f in forwards} == {wanted}:
                yield Place(at, tuple(forwards))


def _function(forward: Forward) -> tuple[str, str]:
    return forward.by[0].at.path, forward.by[0].function


def places(run: Run, wanted: Role) -> Iterator[Place]:
    return Roles(run).places(wanted)
