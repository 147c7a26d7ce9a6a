"""Layers that an optimizer holds and that never learn, because every way from them to a loss is cut."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

from torchmedic.observed import Source
from torchmedic.observed.trace import Cut as Place
from torchmedic.observed.trace import Event, Trace
from torchmedic.rules._cuts import Cut, guarded
from torchmedic.rules._gradients import Optimizer
from torchmedic.rules._order import numbers
from torchmedic.rules._reach import PURPOSE, Training


class Lost(NamedTuple):
    """What cuts, and the layers behind it. `held`: where the optimizer that holds them was made."""

    cut: Cut
    layers: tuple[int, ...]
    held: Event


def lost(training: Training) -> Iterator[Lost]:
    """One for each place. What is called under `no_grad` in one arm only, or by choice of a setting, is meant."""
    told: set[int] = set()
    for optimizer in training.optimizers:
        found: dict[tuple[object, ...], Lost] = {}
        for backward in _before_steps(training, optimizer):
            for number in sorted(numbers(backward, "cuts")):
                place = training.trace.cuts[number]
                layers = _held(training, optimizer, place.layers - training.reached - told)
                cut = _cut_at(training.trace, place, backward) if layers else None
                if cut is None or optimizer.made is None:
                    continue
                told |= set(layers)
                key = (cut.source.path, cut.node.lineno, cut.node.col_offset)
                before = found[key].layers if key in found else ()
                found[key] = Lost(cut, (*before, *layers), optimizer.made)
        yield from found.values()


def _held(training: Training, optimizer: Optimizer, layers: frozenset[int]) -> tuple[int, ...]:
    """Those that the optimizer holds for certain: it was given all parameters of their modules."""
    if not optimizer.made or optimizer.made.facts.get("is_whole") is not True:
        return ()
    held = (n for n in layers if training.is_plain(n) and training.holds(optimizer, n))
    return tuple(sorted(held))


def _before_steps(training: Training, optimizer: Optimizer) -> Iterator[Event]:
    """The backward passes since the last step of any optimizer, before each step of this one."""
    passes: list[Event] = []
    for event in training.timeline.events:
        if event.kind == "backward" and event.facts.get("graph") is not False:
            passes.append(event)
        elif event.kind == "step":
            if event.subject == optimizer.subject:
                yield from passes
            passes = []


def _cut_at(trace: Trace, place: Place, backward: Event) -> Cut | None:
    """The expression that cuts; None where it may be meant."""
    source = trace.source_of(place.at)
    node = source.at(place.at, ast.expr)
    if node is None or place.branches != backward.branches[: len(place.branches)]:
        return None
    if place.how == "no_grad":
        for at in (place.at, *reversed(place.callers)):
            source = trace.source_of(at)
            node = source.at(at, ast.expr)
            cut = guarded(source, node) if node is not None else None
            if cut is not None:
                return None if _is_chosen(source, cut.statement or cut.node) else cut
        return None
    if _is_chosen(source, node) or re.search(PURPOSE, ast.unparse(source.statement(node))):
        return None
    return Cut(source, node, "round" if place.how == "round" else "cut")


def _is_chosen(source: Source, node: ast.AST) -> bool:
    """True in an arm of an `if` of its function: a setting decides."""
    for up in source.parents(node):
        if isinstance(up, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            return False
        if isinstance(up, (ast.If, ast.IfExp)) and "__name__" not in ast.unparse(up.test):
            return True
    return False
