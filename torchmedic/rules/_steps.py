"""Optimizers that stepped with the wrong gradients, as a run showed it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from torchmedic.model import Evidence, Fix, Span, Text
from torchmedic.observed.run import Run
from torchmedic.observed.trace import Event
from torchmedic.rules._clearing import cleared_before, moved_before, moved_inside, stepped
from torchmedic.rules._run import called, event, loop_around, receiver, trace_of

if TYPE_CHECKING:
    from torchmedic.observed.run_training import OptimizerRun

FEWEST = 3  # steps before anything is said
_STALE = Text(
    en="{stale} of {steps} steps found gradients that an earlier step had already used",
    ko="{steps}번의 갱신 가운데 {stale}번이 이미 쓰인 기울기를 다시 썼습니다",
)
_EMPTY = Text(
    en="{empty} of {steps} steps found no gradient",
    ko="{steps}번의 갱신 가운데 {empty}번은 기울기가 없었습니다",
)
_CLEARS = Text(en="clears here", ko="여기서 지웁니다")
_COMPUTES = Text(en="computes gradients", ko="기울기를 계산합니다")


class Misuse(NamedTuple):
    """`form`: the variant of the rule, "" for the rule itself."""

    form: str
    at: Span
    facts: dict[str, object]
    evidence: tuple[Evidence, ...]
    fixes: tuple[Fix, ...]


def misused(run: Run) -> Iterator[Misuse]:
    for one in run.optimizers:
        if one.owner and not _is_called_by_program(one):
            continue
        if not one.has_stepped and run.is_over:
            found = _never(one, run)
            if found is not None:
                yield found
        if one.steps < FEWEST:
            continue
        found = _stale(one) if one.stale >= 2 else _lost(one)
        if found is not None:
            yield found


def _is_called_by_program(one: OptimizerRun) -> bool:
    """True for `optimizer.step()` of an optimizer that a library has wrapped: clearing it is not the library's duty."""
    found = called(one.stepped_by[0]) if one.stepped_by else None
    if found is None or found[1].args or found[1].keywords:
        return False
    function = found[1].func
    return isinstance(function, ast.Attribute) and function.attr == "step"


def _events(one: OptimizerRun) -> tuple[Event, Event, str] | None:
    """The step and the backward pass, and what the user calls the optimizer."""
    name = receiver(one.stepped_by[0]) if one.stepped_by else ""
    step = event("step", one.stepped_by, name)
    backward = _backward(one)
    return (step, backward, name) if step and backward and name else None


def _backward(one: OptimizerRun) -> Event | None:
    """The first in the function of the step and before it, else the first that was seen."""
    if not one.backward_by or not one.stepped_by:
        return None
    step = one.stepped_by[0]
    near = [
        sites
        for sites in one.backward_by
        if (sites[0].at.path, sites[0].function) == (step.at.path, step.function)
        and sites[0].at.line <= step.at.line
    ]
    chosen = min(near, key=lambda sites: sites[0].at.line) if near else one.backward_by[0]
    return event("backward", chosen)


def _stale(one: OptimizerRun) -> Misuse | None:
    found = _events(one)
    loop = loop_around(one.stepped_by)
    if found is None or loop is None:
        return None
    step, backward, name = found
    trace = trace_of(step, backward)
    if trace is None:
        return None
    facts: dict[str, object] = {"optimizer": name, "loop": loop.line}
    counted = Evidence(_STALE.fill(stale=one.stale, steps=one.steps), step.at)
    if not one.cleared_by:
        if one.stale < one.steps - 1:
            return None
        fixes = cleared_before(trace, backward, step)
        return Misuse("", backward.at, facts, (counted,), fixes)
    clearing = event("zero_grad", one.cleared_by, receiver(one.cleared_by[0]))
    if clearing is None or loop_around(one.cleared_by) == loop:
        return None
    with_clearing = trace_of(step, backward, clearing)
    if with_clearing is None:
        return None
    evidence = (counted, Evidence(_CLEARS, clearing.at))
    fixes = moved_inside(with_clearing, clearing, backward, step)
    return Misuse("rarely", clearing.at, facts, evidence, fixes)


def _never(one: OptimizerRun, run: Run) -> Misuse | None:
    """It is cleared again and again, backward passes reach it, and others step, that hold other parameters."""
    others = [o for o in run.optimizers if o.steps >= FEWEST and not o.owner]
    if any(o.has_stepped and o.holds & one.holds for o in run.optimizers):
        return None
    if min(one.backwards, one.clearings) < FEWEST or not others or not one.cleared_by:
        return None
    name = receiver(one.cleared_by[0])
    loop = loop_around(one.cleared_by)
    after = [b for b in one.backward_by if b[0].at.line > one.cleared_by[0].at.line]
    backward = event("backward", (after or list(one.backward_by) or [()])[0])
    trace = trace_of(backward) if backward else None
    if loop is None or backward is None or trace is None or not name:
        return None
    facts: dict[str, object] = {"optimizer": name, "loop": loop.line}
    evidence = (Evidence(_CLEARS, one.cleared_by[0].at),)
    return Misuse("never-stepped", backward.at, facts, evidence, stepped(trace, backward, name))


def _lost(one: OptimizerRun) -> Misuse | None:
    """What a backward pass computed was cleared before the step."""
    is_thrown, is_early = one.thrown >= 2, one.early >= 2
    found = _events(one) if is_thrown or is_early else None
    if found is None or not one.cleared_by:
        return None
    step, backward, name = found
    clearing = event("zero_grad", one.cleared_by, receiver(one.cleared_by[0]))
    trace = trace_of(step, backward, clearing) if clearing else None
    if clearing is None or trace is None:
        return None
    facts: dict[str, object] = {"optimizer": name, "backward": backward.at.line}
    evidence = (
        Evidence(_COMPUTES, backward.at),
        Evidence(_CLEARS, clearing.at),
        Evidence(_EMPTY.fill(empty=one.empty, steps=one.steps), step.at),
    )
    if is_thrown:
        fixes = moved_before(trace, clearing, backward, behind=False)
        return Misuse("thrown-away", clearing.at, facts, evidence, fixes)
    fixes = moved_before(trace, step, backward, behind=True)
    return Misuse("step-before-backward", step.at, facts, evidence, fixes)
