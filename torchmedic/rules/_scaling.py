"""Mixed precision as events: which backward pass is scaled, by which scaler, and what belongs to the same step."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from torchmedic.model import Edit, Span
from torchmedic.observed import Source
from torchmedic.observed.trace import Cast, Event, Trace
from torchmedic.rules._order import Timeline, is_sure, numbers, passes
from torchmedic.rules._statements import put_before, statement_at

_BY_HAND = r"\bget_scale\b|_scale\b.*\bgrad|\bgrad\b.*\binv_?scale|_unscale_grads"


class Scaled(NamedTuple):
    """A backward pass through a scaled loss."""

    scale: Event
    backward: Event


class Scaling:
    """The backward passes of one execution, with their scalers."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline

    @cached_property
    def passes(self) -> list[Scaled]:
        """Backward passes through a loss that a scaler, which may be on, has scaled in the same pass of the loops."""
        found: list[Scaled] = []
        scales: list[Event] = []
        for event in self.timeline.events:
            if event.kind == "scale":
                scales.append(event)
            elif event.kind == "backward":
                own = [s for s in scales if s.facts["data"] == event.subject and _is_same(s, event)]
                if own and own[-1].facts["is_on"] is not False:
                    found.append(Scaled(own[-1], event))
        return found

    def behind(self, event: Event, *kinds: str) -> list[Event]:
        """Later events of the same pass of the loops, until the next backward pass."""
        start = self.timeline.index[id(event)] + 1
        found = []
        for one in self.timeline.events[start:]:
            if one.kind == "backward":
                break
            if one.kind in kinds and passes(one)[: len(event.loops)] == passes(event):
                found.append(one)
        return found

    def meets(self, backward: Event, other: Event) -> bool:
        """True if `other` (a step, a clipping) is for parameters that the pass gives gradients, or this can't be told."""
        held = other.facts.get("holds")
        calls = [self.timeline.calls.get(n) for n in numbers(backward, "calls")]
        inside = [numbers(c, "inside") for c in calls if c is not None]
        if not isinstance(held, frozenset) or not inside:
            return True
        return any(held & one for one in inside)


def _is_same(one: Event, other: Event) -> bool:
    return passes(one) == passes(other) and is_sure(one, other)


def is_scaled_step(step: Event) -> bool:
    """`scaler.step(optimizer)`, also of a scaler that nothing is known about."""
    return bool(step.facts.get("is_scaled")) or "scaler" in step.name.lower()


def is_by_hand(trace: Trace) -> bool:
    """True if the program divides by the scale itself."""
    return any(re.search(_BY_HAND, source.text) for source in trace.sources.values())


def scaler_of(source: Source, scale: Event) -> str:
    """How the program names the scaler: `self.scaler`; "" if it can't be told."""
    call = source.at(scale.at, ast.Call)
    called = call.func if call is not None else None
    return source.code(called.value) if isinstance(called, ast.Attribute) else ""


def casts(event: Event) -> Cast | None:
    """The region of `autocast` that the event happens in."""
    found = event.facts.get("cast")
    return found if isinstance(found, Cast) else None


def own_statement(source: Source, at: Span) -> ast.Expr | None:
    """The statement that is only this call."""
    statement = statement_at(source, at)
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Call):
        return None
    return statement if source.span(statement.value) == at else None


def in_one_function(source: Source, *nodes: ast.AST) -> bool:
    return len({id(source.function_of(node)) for node in nodes}) == 1


def unscaled_before(source: Source, clip: Event, scaler: str, optimizer: str) -> tuple[Edit, ...]:
    statement = statement_at(source, clip.at)
    if statement is None or isinstance(statement, (ast.If, ast.While, ast.For, ast.With)):
        return ()
    return put_before(source, statement, f"{scaler}.unscale_({optimizer})")


def distinct(events: Iterator[Event]) -> list[Event]:
    """One event for each place."""
    return list({event.at: event for event in events}.values())
