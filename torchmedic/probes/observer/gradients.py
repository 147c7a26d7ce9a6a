"""What is in the gradients of each optimizer, told by the identity and the version of two of them.

Clearing drops a gradient or bumps its version, in whatever way it is done, so no data is read but once: to confirm a
suspicion, because `p.grad.data.zero_()` leaves no trace.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from types import FrameType
from typing import Any

from torchmedic.observed.run_training import OptimizerRun
from torchmedic.probes.observer.stack import Call, owner_of, sites, user_calls
from torchmedic.probes.observer.watcher import Now, Watcher

LOOKED_AT = 2  # parameters of an optimizer
CONFIRMATIONS = 2
MOST_OPTIMIZERS = 64
MOST_PLACES = 8  # of backward passes
Mark = list[tuple[Any, int]]


class State:
    """One optimizer. A gradient that is marked is held: its id would be used again."""

    def __init__(self, optimizer: Any) -> None:
        self.optimizer = weakref.ref(optimizer)
        self.type = type(optimizer).__name__
        self.made_by: tuple[Call, ...] = ()
        self.chosen: list[Any] = []
        self.mark: Mark | None = None
        self.is_unclean = self.is_stale = self.is_closure = self.was_closure = False
        self.is_cleared_unseen = False
        self.is_fresh = False  # the window began inside a cycle: its first step is not judged
        self.pending = 0  # backward passes since the last clearing or step
        self.lost = 0  # backward passes whose gradients were cleared and not used
        self.lost_at = 0  # how many forward passes there were at that clearing
        self.confirmations = 0
        self.steps = self.stale = self.thrown = self.early = self.empty = self.backwards = 0
        self.clearings = 0
        self.has_stepped = False
        self.owner = ""
        self.step_calls: tuple[Call, ...] = ()
        self.backward_calls: dict[Call, tuple[Call, ...]] = {}
        self.clear_calls: tuple[Call, ...] = ()
        self.dropped = 0  # since the last step
        self.dropped_all = self.narrow = self.most_used = 0
        self.drop_calls: dict[Call, tuple[Call, ...]] = {}
        self.holds: frozenset[int] = frozenset()

    def choose(self, optimizer: Any) -> None:
        """The smallest parameters that have a gradient: small, because their gradients are held."""
        held = [p for group in optimizer.param_groups for p in group["params"]]
        self.holds = frozenset(map(id, held))
        trained = [p for p in held if p.requires_grad]
        ready = [p for p in trained if p.grad is not None] or trained
        self.chosen = sorted(ready, key=lambda p: int(p.numel()))[:LOOKED_AT]

    def look(self) -> Mark:
        return [(g, -1 if g is None else g._version) for g in [p.grad for p in self.chosen]]


def _is_same(one: Mark | None, other: Mark) -> bool:
    return one is not None and all(
        g is h and v == w for (g, v), (h, w) in zip(one, other, strict=False)
    )


class Gradients(Watcher):
    def __init__(self, now: Now) -> None:
        super().__init__(now)
        self.states: dict[int, State] = {}
        self._gone: list[State] = []
        self._before: list[tuple[State, Mark, tuple[Call, ...]]] = []

    def state(self, optimizer: Any) -> State | None:
        found = self.states.get(id(optimizer))
        if found is not None and found.optimizer() is optimizer:
            return found
        if found is not None:
            self._gone.append(found)
        elif len(self.states) + len(self._gone) >= MOST_OPTIMIZERS:
            return None
        found = self.states[id(optimizer)] = State(optimizer)
        return found

    def optimizer_made(self, optimizer: Any, frame: FrameType) -> None:
        state = self.state(optimizer)
        if state is not None:
            state.made_by = user_calls(frame)

    def opened(self) -> None:
        for state in self.states.values():
            state.pending = state.lost = state.dropped = 0
            state.is_unclean = state.is_stale = False
            state.mark = None
            state.is_fresh = True

    def zero_grad(self, optimizer: Any, frame: FrameType) -> None:
        state = self.state(optimizer)
        if state is not None:
            self._cleared(state, user_calls(frame))

    def module_zero_grad(self, module: Any, frame: FrameType) -> None:
        calls = user_calls(frame)
        held = frozenset(map(id, module.parameters()))
        for state in self.states.values():
            if state.holds and state.holds <= held:
                self._cleared(state, calls)

    def _cleared(self, state: State, calls: tuple[Call, ...]) -> None:
        state.clearings += 1
        if state.pending:
            state.lost = state.pending
            state.dropped += state.pending
            if calls and len(state.drop_calls) < MOST_PLACES:
                state.drop_calls.setdefault(calls[0], calls)
        state.lost_at = self.now.forwards
        state.pending = 0
        state.is_unclean = state.is_stale = False
        state.clear_calls = calls

    def backward_begins(self, tensors: Any, frame: FrameType) -> None:
        self._before = []
        calls = user_calls(frame)
        for state in self.states.values():
            optimizer = state.optimizer()
            if optimizer is None:
                continue
            if not state.chosen or (state.mark is None and not state.pending):
                state.choose(optimizer)
            look = state.look()
            if state.mark is not None and not _is_same(state.mark, look):
                state.is_unclean = state.is_stale = False
            if state.is_unclean:
                if all(g is None for g, _ in look):
                    state.is_unclean = False
                elif state.confirmations < CONFIRMATIONS and not state.was_closure:
                    state.confirmations += 1
                    if not any(bool(g.any()) for g, _ in look if g is not None):
                        state.is_cleared_unseen = True
            self._before.append((state, look, calls))

    def backward_ends(self, frame: FrameType) -> None:
        for state, before, calls in self._before:
            look = state.look()
            if all(g is None for g, _ in look):  # the smallest ones take no part: look at others
                optimizer = state.optimizer()
                if optimizer is not None:
                    state.choose(optimizer)
                    look = state.look()
            if _is_same(before, look):
                continue
            state.mark = look  # whoever changes them before the next backward pass clears them
            if state.is_unclean or (state.is_closure and state.pending):
                state.is_stale = True
            state.pending += 1
            state.backwards += 1
            state.lost = 0
            if calls and len(state.backward_calls) < MOST_PLACES:
                state.backward_calls.setdefault(calls[0], calls)
        self._before = []

    def step_begins(
        self, optimizer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], frame: FrameType
    ) -> None:
        state = self.state(optimizer)
        if state is None or not self.now.is_open:
            return
        if not state.chosen:
            state.choose(optimizer)
        state.step_calls = state.step_calls or user_calls(frame)
        state.owner = owner_of(frame)
        if any(callable(a) for a in args[1:]) or kwargs.get("closure") is not None:
            state.is_closure = True
            state.pending = 0
            return
        if state.is_fresh:
            state.is_fresh = False
            return
        state.steps += 1
        state.dropped_all += state.dropped
        state.narrow += state.pending == 1 and state.dropped > 0
        state.most_used = max(state.most_used, state.pending)
        if state.is_stale and not state.is_cleared_unseen:
            state.stale += 1
        if state.pending == 0:
            state.empty += 1
            if state.lost and self.now.forwards == state.lost_at:
                state.thrown += 1
            elif state.lost:
                state.early += 1

    def step_ends(self, optimizer: Any) -> None:
        state = self.state(optimizer)
        if state is None:
            return
        state.has_stepped = True
        if not self.now.is_open:
            return
        if state.is_closure:
            state.steps += 1
            state.stale += state.is_stale
        state.was_closure, state.is_closure = state.is_closure, False
        for other in self.states.values():
            if other.chosen and id(other.chosen[0]) in state.holds:
                other.pending = 0  # used: by this optimizer, or by another that holds the same
        state.pending = state.lost = state.dropped = 0
        state.is_stale = False
        state.is_unclean = True
        state.mark = state.look()

    def read(self) -> dict[str, Any]:
        everyone = [*self._gone, *self.states.values()]
        return {"optimizers": tuple(_told(state) for state in everyone)}


def _told(state: State) -> OptimizerRun:
    return OptimizerRun(
        id(state),
        state.type,
        state.holds,
        sites(state.made_by),
        state.steps,
        state.stale,
        state.thrown,
        state.early,
        state.empty,
        state.backwards,
        state.was_closure,
        state.has_stepped,
        state.clearings,
        state.owner,
        sites(state.step_calls),
        tuple(map(sites, state.backward_calls.values())),
        sites(state.clear_calls),
        state.narrow,
        state.dropped_all,
        state.most_used,
        tuple(map(sites, state.drop_calls.values())),
    )
