"""The state of gradients as events tell it: what clears them, what adds to them, and what an optimizer's step finds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from torchmedic.model import Span
from torchmedic.observed.trace import Event
from torchmedic.rules._order import HELD, Timeline, is_sure, numbers

_NAMED = r"(?i)optim|(^|_)opt(_|\d|$)|^o_|_o$"
_SCHEDULES = r"(?i)sched|warm_?up|lr|decay|anneal|onecycle"


class Cycle(NamedTuple):
    """From one step of an optimizer to its next at the same place."""

    before: Event | None
    step: Event
    events: tuple[Event, ...]  # between them


class Optimizer:
    """One optimizer in a timeline. It is known, or an argument that is named so."""

    def __init__(self, timeline: Timeline, subject: int, name: str) -> None:
        self.timeline = timeline
        self.subject = subject
        self.name = name

    @cached_property
    def steps(self) -> list[Event]:
        return [e for e in self.timeline.of("step") if e.subject == self.subject]

    @cached_property
    def made(self) -> Event | None:
        return next((e for e in self.timeline.of("optimizer") if e.subject == self.subject), None)

    @cached_property
    def holds(self) -> frozenset[int] | None:
        for event in (*([self.made] if self.made else ()), *self.steps):
            found = event.facts.get(HELD)
            if isinstance(found, frozenset):
                return found
        return None

    @property
    def is_certain(self) -> bool:
        """False if code that can't be seen may clear or step it, or if it can't be told which one it is."""
        if any(self.has_hook(event) for event in self.timeline.of("hook")):
            return False
        for event in self.timeline.of("escape"):
            if self.subject in numbers(event, "reaches") and not re.search(_SCHEDULES, event.name):
                return False
        if any(
            s.facts.get("has_closure") and not s.facts.get("is_closure_seen") for s in self.steps
        ):
            return False
        if self.made is not None:
            return not any(loop.iteration >= 0 for loop in self.made.loops)
        why = str(self.steps[0].facts.get("why") or "") if self.steps else ""
        return (
            self.timeline.entry != ""
            and why.isidentifier()
            and bool(re.search(_NAMED, self.name.rpartition(".")[2]))
        )

    def has_hook(self, event: Event) -> bool:
        """True if a hook is on it, on what it holds, or on what can't be told: it may clear."""
        holds = event.facts.get(HELD)
        if not isinstance(holds, frozenset) or self.holds is None:
            return True
        return self.subject in holds or bool(holds & self.holds)

    @cached_property
    def is_only_one(self) -> bool:
        """True if no other optimizer is made or steps: every backward pass is for this one."""
        others = {e.subject for e in self.timeline.of("step", "optimizer")}
        return others <= {self.subject}

    # --- what events do to it

    def may_clear(self, event: Event) -> bool:
        if event.kind == "unused" and event.facts.get("method") == "zero_grad":
            return False
        if event.kind != "zero_grad":
            is_foreign = event.kind == "escape" and not event.name.startswith("torch.")
            return is_foreign and bool(self.holds and numbers(event, "reaches") & self.holds)
        holds = event.facts.get(HELD)
        if event.subject == self.subject or not isinstance(holds, frozenset) or self.holds is None:
            return True
        return bool(holds & self.holds)

    def clears(self, event: Event) -> bool:
        """True if all of its gradients are certainly cleared."""
        if event.kind != "zero_grad" or event.facts.get("by") == "gradient":
            return False
        holds = event.facts.get(HELD)
        return event.subject == self.subject or (
            isinstance(holds, frozenset) and bool(self.holds) and holds >= (self.holds or holds)
        )

    def is_used_by(self, event: Event) -> bool:
        """True for the step of another optimizer that holds some of the same."""
        return event.kind == "step" and bool(self.holds and numbers(event, HELD) & self.holds)

    def reached_by(self, event: Event) -> bool | None:
        """Whether a backward pass adds to its gradients; None if that can't be told."""
        if event.facts.get("is_stored") is False:
            return False
        calls = [
            self.timeline.calls.get(n)
            for n in numbers(event, "calls")
            if self.timeline.has_graph(n)
        ]
        inside = [numbers(c, "inside") for c in calls if c is not None]
        if self.is_only_one:
            return True
        if self.holds is None or not inside or None in calls:
            return None
        return any(part & self.holds for part in inside)

    def adds(self, event: Event) -> bool:
        """True if the event may put gradients in."""
        if event.kind == "backward":
            return self.reached_by(event) is not False
        if event.kind == "zero_grad":
            return event.facts.get("by") == "gradient" and event.facts.get("is_cleared") is not True
        return event.kind == "escape" and bool(numbers(event, "calls"))

    # --- cycles

    @property
    def cycles(self) -> Iterator[Cycle]:
        index, events = self.timeline.index, self.timeline.events
        places: dict[object, list[Event]] = {}
        for step in self.steps:
            places.setdefault((step.sites, step.branches), []).append(step)
        for steps in places.values():
            start = 0
            before = None
            for step in steps:
                yield Cycle(before, step, tuple(events[start : index[id(step)]]))
                before, start = step, index[id(step)] + 1

    def backwards(self, cycle: Cycle) -> list[Event]:
        """Those that certainly add to its gradients before the cycle's step."""
        return [
            e
            for e in cycle.events
            if e.kind == "backward"
            and self.reached_by(e)
            and is_sure(e, cycle.step)
            and not e.facts.get("is_foreign")
        ]

    @property
    def stale(self) -> Cycle | None:
        """A cycle whose step finds the gradients of the step before: nothing can have cleared them in between."""
        for cycle in self.cycles:
            if cycle.before is None or not cycle.step.loops:
                continue
            if self.backwards(cycle) and not any(map(self.may_clear, cycle.events)):
                return cycle
        return None

    @property
    def thrown(self) -> tuple[Cycle, Event] | None:
        """A cycle whose gradients are all cleared before its step, and what clears them."""
        for cycle in self.cycles:
            backwards = self.backwards(cycle)
            if not backwards:
                continue
            last = max(i for i, e in enumerate(cycle.events) if self.adds(e))
            for event in cycle.events[last + 1 :]:
                if self.is_used_by(event):
                    break
                if self.clears(event) and is_sure(event, cycle.step):
                    return cycle, event
        return None

    @cached_property
    def clearings(self) -> list[Event]:
        return [e for e in self.timeline.events if e.kind == "zero_grad" and self.may_clear(e)]


def optimizers(timeline: Timeline) -> list[Optimizer]:
    """Those that are made or step in the timeline, in order."""
    names: dict[int, str] = {}
    for event in timeline.of("optimizer", "step", "zero_grad"):
        if event.kind == "zero_grad" and event.subject not in names:
            continue
        names[event.subject] = names.get(event.subject) or event.name
    return [Optimizer(timeline, subject, name) for subject, name in names.items()]


def innermost(event: Event) -> Span | None:
    return event.loops[-1].at if event.loops else None
