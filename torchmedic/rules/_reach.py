"""Which parameters learn: what backward passes come to, and what the optimizers that step hold."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from functools import cached_property

from torchmedic.observed import Source
from torchmedic.observed.trace import Event, Layer, Trace
from torchmedic.rules._gradients import Optimizer, optimizers
from torchmedic.rules._order import HELD, Timeline, has_other_duties, numbers, timelines

# Names of what is kept from learning on purpose, or is changed in another way.
PURPOSE = r"(?i)teacher|target|(^|[_.])ema([_.]|$)|momentum|frozen|freeze|fixed|reservoir|random|pretrain|prior|lpips|vgg"
_INPLACE = r"^(copy|lerp|add|mul|sub|div|addcmul|addcdiv|set|index_copy|scatter)_$"

_GROUPS = r"param_groups.{0,20}params"  # parameters put into an optimizer by hand


class Training:
    """A timeline in which every backward pass and every optimizer that steps is known.

    `reached`: ids of the layers and parameters that get gradients, in any timeline.
    """

    def __init__(
        self,
        trace: Trace,
        timeline: Timeline,
        optimizers: Sequence[Optimizer],
        backwards: Sequence[Event],
        reached: frozenset[int],
    ) -> None:
        self.trace = trace
        self.timeline = timeline
        self.optimizers = optimizers
        self.backwards = backwards
        self.reached = reached

    @cached_property
    def held(self) -> frozenset[int]:
        """Ids of the modules whose parameters an optimizer of the program holds, at any time."""
        events = list(self.trace.of("optimizer", "step"))
        return frozenset[int]().union(*(numbers(e, HELD) for e in events))

    @cached_property
    def trained(self) -> frozenset[int]:
        """Ids of those that get gradients in this timeline."""
        return frozenset[int]().union(*(numbers(e, "reach") for e in self.backwards))

    @cached_property
    def loaded(self) -> frozenset[int]:
        return frozenset[int]().union(
            *(numbers(e, "inside") | {e.subject} for e in self.trace.of("load"))
        )

    @cached_property
    def names(self) -> dict[int, str]:
        """What the user calls the root modules."""
        found: dict[int, str] = {}
        for call in self.timeline.of("call"):
            if call.name:
                found.setdefault(call.subject, call.name)
        return found

    def name_of(self, number: int) -> str:
        """`model.encoder.0`, as `print(model)` names it."""
        layer = self.trace.layers[number]
        root = self.names.get(layer.root or number, "")
        return f"{root}.{layer.path}".strip(".")

    def holds(self, optimizer: Optimizer, number: int) -> bool:
        """True if it holds the layer, or a module that the parameter is registered in."""
        layer = self.trace.layers[number]
        holds = optimizer.holds or frozenset()
        return number in holds or (layer.type == "Parameter" and bool(layer.owners & holds))

    def is_held(self, number: int) -> bool:
        layer = self.trace.layers[number]
        return number in self.held or (layer.type == "Parameter" and bool(layer.owners & self.held))

    def is_plain(self, number: int) -> bool:
        """True if it is known, trains, and nothing but an optimizer changes it."""
        layer = self.trace.layers.get(number)
        if layer is None or not layer.is_sure or number in self.loaded:
            return False
        return not layer.owners & self.loaded and not re.search(PURPOSE, self.name_of(number))

    def layer(self, number: int) -> Layer:
        return self.trace.layers[number]


def trainings(trace: Trace) -> Iterator[Training]:
    """Those timelines of which everything is known."""
    if has_other_duties(trace) or not trace.is_complete or not trace.layers:
        return
    reached = frozenset[int]().union(*(numbers(e, "reach") for e in trace.of("backward")))
    for timeline in timelines(trace):
        stepping = [o for o in optimizers(timeline) if o.steps]
        backwards = timeline.of("backward")
        is_known = all(o.is_certain and o.made and o.holds for o in stepping) and all(
            isinstance(e.facts.get(HELD), frozenset) for e in timeline.of("step")
        )
        if stepping and backwards and is_known and all(map(_is_known, backwards)):
            if any(map(_is_changed_by_hand, trace.sources.values())):
                return
            yield Training(trace, timeline, stepping, backwards, reached)


def _is_known(backward: Event) -> bool:
    facts = backward.facts
    is_told = isinstance(facts.get("reach"), frozenset) and facts.get("is_stored") is not False
    return is_told and not facts.get("is_foreign")


def _is_changed_by_hand(source: Source) -> bool:
    """True where the program writes into parameters itself, as a moving average of weights does."""
    return (
        bool(re.search(_GROUPS, source.text))
        or any(_is_write(source, n) for n in source.nodes(ast.Call))
        or any(_is_assignment(n) for n in source.nodes(ast.Assign))
        or any(".grad" in ast.unparse(n.value) for n in source.nodes(ast.AugAssign))
    )


def _is_write(source: Source, call: ast.Call) -> bool:
    """`copy_` anywhere; arithmetic in place, unless it belongs to the first values."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if not re.match(_INPLACE, name):
        return False
    inside = source.function_of(call)
    return name == "copy_" or inside is None or not re.search(r"init|reset", inside.name)


def _is_assignment(assign: ast.Assign) -> bool:
    """`layer.weight = …`, unless two layers are to share one."""
    target, value = assign.targets[0], assign.value
    if not isinstance(target, ast.Attribute) or target.attr not in ("data", "weight", "bias"):
        return False
    is_own = isinstance(target.value, ast.Name) and target.value.id == "self"
    is_shared = isinstance(value, ast.Attribute) and value.attr == "weight"
    return target.attr == "data" or not (is_own or is_shared)


def common(names: Sequence[str]) -> str:
    """What these dotted names begin with; the first of them if they share nothing."""
    parts = [name.split(".") for name in names]
    shared = []
    for column in zip(*parts, strict=False):
        if len(set(column)) > 1:
            break
        shared.append(column[0])
    return ".".join(shared) or names[0]
