"""How events in order are read: passes of loops, which calls of a model train and which evaluate.

Nothing here looks at syntax: a trace of the running program can be read in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

from torchmedic.model import Span
from torchmedic.observed.trace import Event, Trace

Pass = tuple[tuple[Span, int], ...]
_EVALUATES = (
    r"(?i)(^|[_.])(test|val|valid|validate|validation|eval|evaluate|evaluation|predict|prediction|predictions|infer"
    r"|inference|accuracy|score|check_accuracy)(_|$|\d)"
)
_ACTS = r"(?i)(^|_)(mc|dropout|uncertainty|adapt|bn|attack|saliency)(_|$)"
_TRAINS = r"backward|step|optim|scaler|^caller$"
HELD = "holds"


def numbers(event: Event, fact: str) -> frozenset[int]:
    """A set of ids or numbers among the facts; empty if it is not known."""
    found = event.facts.get(fact)
    return found if isinstance(found, frozenset) else frozenset()


def is_sure(event: Event, other: Event) -> bool:
    """True if the event certainly happens where `other` does."""
    return event.branches == other.branches[: len(event.branches)]


def passes(event: Event) -> Pass:
    """Which pass of each loop around it, outermost first."""
    return tuple((loop.at, loop.iteration) for loop in event.loops)


def is_within(event: Event, outer: Pass) -> bool:
    return passes(event)[: len(outer)] == outer


def has_other_duties(trace: Trace) -> bool:
    """True if a library owns what the rules would ask of the program, or if too little of it was seen."""
    return bool(trace.frameworks)


class Evaluation(NamedTuple):
    """Calls of trained models in one pass of a loop, or of one function, whose results become numbers and train nothing.

    `loop`: the loop that is walked for it; None if there is none. `is_single`: one call beside the training.
    """

    calls: tuple[Event, ...]
    loop: Span | None
    is_single: bool = False

    @property
    def first(self) -> Event:
        return self.calls[0]

    @property
    def roots(self) -> tuple[Event, ...]:
        """One call of each model."""
        return tuple({e.subject: e for e in reversed(self.calls)}.values())[::-1]


class Timeline:
    """The events of one execution: of the file, or of one function that nobody calls."""

    def __init__(self, events: Sequence[Event], entry: str) -> None:
        self.events = events
        self.entry = entry

    @cached_property
    def index(self) -> dict[int, int]:
        return {id(event): number for number, event in enumerate(self.events)}

    @cached_property
    def _of_kind(self) -> dict[tuple[str, ...], tuple[Event, ...]]:
        return {}

    def of(self, *kinds: str) -> tuple[Event, ...]:
        known = self._of_kind.get(kinds)
        if known is None:
            known = tuple(event for event in self.events if event.kind in kinds)
            self._of_kind[kinds] = known
        return known

    @cached_property
    def calls(self) -> dict[int, Event]:
        """Calls of root modules by number."""
        return {n: e for e in self.of("call") if isinstance(n := e.facts.get("call"), int)}

    @cached_property
    def consumed(self) -> frozenset[int]:
        """Numbers of the calls through whose results a backward pass went, or that left with an optimizer."""
        found: set[int] = set()
        for event in self.events:
            leaves = event.kind == "escape" and re.search(_TRAINS, event.name)
            if event.kind == "backward" or leaves:
                found |= numbers(event, "calls")
        return frozenset(n for n in found if self.has_graph(n))

    def has_graph(self, number: int) -> bool:
        """False if the call was made with gradients off: no backward pass goes through it."""
        call = self.calls.get(number)
        return call is None or call.is_grad_enabled is not False

    @cached_property
    def trained(self) -> frozenset[int]:
        """Ids of the modules that an optimizer of the program changes."""
        found: set[int] = set()
        is_open = False
        for step in self.of("step"):
            holds = step.facts.get(HELD)
            if isinstance(holds, frozenset):
                found |= holds
            else:
                is_open = True
        if is_open:
            for number in self.consumed:
                if number in self.calls:
                    found |= numbers(self.calls[number], "inside")
        return frozenset(found)

    def is_trained(self, call: Event) -> bool:
        return bool(numbers(call, "inside") & self.trained)

    def is_consumed(self, call: Event) -> bool:
        return call.facts.get("call") in self.consumed

    # --- modes

    def modes_before(self, call: Event) -> list[Event]:
        """`train()` and `eval()` of the called module before the call, the last one first."""
        end = self.index[id(call)]
        return [
            e
            for e in reversed(self.events[:end])
            if e.kind in ("train", "eval")
            and (e.subject == call.subject or call.subject in numbers(e, "inside"))
        ]

    def is_in_training_on_purpose(self, call: Event) -> bool:
        """True if `train()` was called for this: nothing was trained since."""
        modes = self.modes_before(call)
        if not modes or modes[0].facts.get("mode") is False:
            return False
        since = self.events[self.index[id(modes[0])] : self.index[id(call)]]
        return not any(e.kind in ("backward", "step") for e in since)

    # --- evaluation

    @cached_property
    def evaluations(self) -> list[Evaluation]:
        """What certainly evaluates. Every pass is judged for itself: one loop can train in one phase only."""
        found: dict[object, list[Event]] = {}
        for call in self.calls.values():
            found.setdefault(self._region(call), []).append(call)
        in_loops = [
            Evaluation(tuple(calls), self._loop_of(calls[0]))
            for calls in found.values()
            if self._evaluates(calls)
        ]
        known = {id(call) for one in in_loops for call in one.calls}
        single = [c for c in self.calls.values() if id(c) not in known and self._is_measured(c)]
        return in_loops + [Evaluation((call,), None, True) for call in single]

    def _is_measured(self, call: Event) -> bool:
        """A call with gradients off or in evaluation mode, whose result meets labels and has no part in training."""
        number = call.facts["call"]
        if any(loop.is_loader for loop in call.loops) or _is_named(call) or self.entry:
            return False
        if call.facts.get("escaped") or not self.is_trained(call) or number in self._touched:
            return False
        if re.search(_ACTS, call.function.rpartition(".")[2]) or not self._is_after_training(call):
            return False
        modes = self.modes_before(call)
        is_off = call.is_grad_enabled is False or bool(modes and modes[0].kind == "eval")
        return is_off and number in self._measured

    @cached_property
    def _touched(self) -> frozenset[object]:
        """Numbers of the calls whose results have any part in what a backward pass starts from."""
        return frozenset[object]().union(*(numbers(e, "calls") for e in self.of("backward")))

    @cached_property
    def _measured(self) -> frozenset[object]:
        """Numbers of the calls whose results are compared with labels, or given to a loss."""
        events = (e for e in self.of("loss", "compare", "convert") if _is_with_labels(e))
        return frozenset[object]().union(*(numbers(e, "calls") for e in events))

    @staticmethod
    def _depth(call: Event) -> int:
        """How many loops belong to the region of a call: down to the innermost over a loader, else to the innermost."""
        over = [i for i, loop in enumerate(call.loops) if loop.is_loader]
        return (over[-1] if over else len(call.loops) - 1) + 1

    @classmethod
    def _loop_of(cls, call: Event) -> Span | None:
        depth = cls._depth(call)
        return call.loops[depth - 1].at if depth else None

    @classmethod
    def _own_depth(cls, call: Event) -> int:
        """0 where the whole function evaluates by its name: the loops around it may be those of training."""
        return 0 if _is_named(call) else cls._depth(call)

    def _region(self, call: Event) -> object:
        depth = self._own_depth(call)
        if not depth:
            return (call.callers, call.function)
        return (passes(call)[: depth - 1], call.loops[depth - 1].at, call.branches)

    def _is_around(self, call: Event, other: Event) -> bool:
        """True if `other` happens in the region of the call."""
        depth = self._own_depth(call)
        if not depth:
            return other.callers[: len(call.callers)] == call.callers and (
                other.function == call.function or len(other.callers) > len(call.callers)
            )
        return (
            is_within(other, passes(call)[: depth - 1])
            and len(other.loops) >= depth
            and other.loops[depth - 1].at == call.loops[depth - 1].at
        )

    def _evaluates(self, calls: list[Event]) -> bool:
        first = calls[0]
        if any(self.is_consumed(c) or c.facts.get("escaped") for c in calls):
            return False
        if not all(self.is_trained(c) or self._is_loaded(c) for c in calls):
            return False
        if any(e.kind in ("backward", "step") and self._is_around(first, e) for e in self.events):
            return False
        if re.search(_ACTS, first.function.rpartition(".")[2]):
            return False
        if not self._is_after_training(calls[-1]) or not self._is_evidence(first):
            return False
        used = frozenset(c.facts["call"] for c in calls)
        return any(self._uses(e, used) for e in self.events)

    def _is_loaded(self, call: Event) -> bool:
        return self.entry == "" and any(
            e.subject == call.subject or e.subject in numbers(call, "inside")
            for e in self.of("load")
        )

    def _is_after_training(self, call: Event) -> bool:
        """The model was trained before: what comes first may be a test of shapes or of a baseline."""
        before = self.events[: self.index[id(call)]]
        if any(e.kind == "backward" for e in before):
            return True
        return self.entry == "" and any(e.kind == "load" for e in before)

    def _is_evidence(self, call: Event) -> bool:
        """A loop over a loader, a function that is named so, or a model in evaluation mode."""
        if any(loop.is_loader for loop in call.loops):
            return True
        modes = self.modes_before(call)
        return _is_named(call) or bool(modes and modes[0].kind == "eval")

    @staticmethod
    def _uses(event: Event, calls: frozenset[object]) -> bool:
        """True if the results become numbers: converted, compared with labels, or given to a loss."""
        if event.kind in ("convert", "loss", "compare", "escape", "accumulate"):
            return bool(numbers(event, "calls") & calls)
        return False


def _is_with_labels(event: Event) -> bool:
    """True for a loss, a metric, and a comparison of a model's result with a tensor that is none."""
    if event.kind != "compare":
        return event.kind == "loss" or event.facts.get("how") == "metric"
    sides = [getattr(event.facts.get(side), "tensor", None) for side in ("left", "right")]
    return None not in sides and event.facts.get("from_model") in ((True, False), (False, True))


def _is_named(call: Event) -> bool:
    return bool(re.search(_EVALUATES, call.function.rpartition(".")[2]))


def timelines(trace: Trace) -> list[Timeline]:
    """The execution of the file, then of each function that nobody calls."""
    entries: dict[str, list[Event]] = {}
    for event in trace.events:
        entries.setdefault(event.entry, []).append(event)
    return [Timeline(events, entry) for entry, events in entries.items()]


def merged(evaluations: Iterable[Evaluation]) -> list[list[Evaluation]]:
    """Evaluations at the same place: a function that is called for several loaders, a loop in several epochs."""
    found: dict[Span, list[Evaluation]] = {}
    for one in evaluations:
        found.setdefault(one.first.at, []).append(one)
    return list(found.values())


def with_graphs(timeline: Timeline) -> list[list[Evaluation]]:
    """Evaluations whose forward passes certainly record a graph, whenever that place evaluates, by place."""
    found = []
    for group in merged(timeline.evaluations):
        calls = [call for one in group for call in one.calls]
        if any(one.is_single for one in group):
            continue  # one graph, and it goes with the result
        if all(
            c.loops and c.is_grad_enabled is True and c.facts.get("has_parameters") is not False
            for c in calls
        ):
            found.append(group)
    return found
