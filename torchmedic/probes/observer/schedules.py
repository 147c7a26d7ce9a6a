"""Whether a scheduler steps before its optimizer, and how often it steps."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from types import FrameType
from typing import Any

from torchmedic.observed.run_memory import ScheduleRun
from torchmedic.probes.observer.stack import Call, owner_of, sites, user_call, user_calls
from torchmedic.probes.observer.watcher import Now, Watcher

MOST = 64
MOST_PLACES = 4
MOST_MILESTONES = 32
_NUMBERS = ("T_max", "total_steps", "step_size", "gamma")


class _Schedule:
    def __init__(self, scheduler: Any, by: tuple[Call, ...], frame: FrameType) -> None:
        self.scheduler = weakref.ref(scheduler)
        self.type = type(scheduler).__name__
        self.optimizer = id(scheduler.optimizer)
        self.by = by
        self.calls = self.early = self.total = 0
        self.has_epoch = False
        self.owner = owner_of(frame)
        self.places: set[Call | None] = set()
        held = vars(scheduler)
        self.is_torch = type(scheduler).__module__ == "torch.optim.lr_scheduler"
        self.begun = held.get("last_epoch")
        self.numbers = {n: held[n] for n in _NUMBERS if type(held.get(n)) in (int, float)}
        found = held.get("milestones")
        is_plain = isinstance(found, dict) and len(found) <= MOST_MILESTONES
        self.milestones = tuple(n for n in sorted(found) if type(n) is int) if is_plain else ()
        self.first = self.last = _rate(scheduler)


def _rate(scheduler: Any) -> float:
    rate = scheduler.optimizer.param_groups[0].get("lr")
    return float(rate) if type(rate) in (int, float) else 0.0


class Schedules(Watcher):
    def __init__(self, now: Now) -> None:
        super().__init__(now)
        self._schedules: dict[int, _Schedule] = {}
        self._made: dict[int, int] = {}  # id of an optimizer -> backward passes before it
        self._makers: dict[int, list[tuple[Call, ...]]] = {}  # id of an optimizer -> its schedulers
        self._stepped: dict[int, tuple[Call, ...]] = {}
        self._backwards = 0

    def optimizer_made(self, optimizer: Any, frame: FrameType) -> None:
        self._makers.pop(id(optimizer), None)
        if len(self._made) < MOST:
            self._made[id(optimizer)] = self._backwards

    def backward_begins(self, tensors: Any, frame: FrameType) -> None:
        self._backwards += 1

    def step_begins(
        self, optimizer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], frame: FrameType
    ) -> None:
        if id(optimizer) not in self._stepped and len(self._stepped) < MOST:
            self._stepped[id(optimizer)] = user_calls(frame)

    def scheduler_made(self, scheduler: Any, frame: FrameType) -> None:
        number = id(scheduler.optimizer)
        if number in self._makers or len(self._makers) < MOST:
            self._makers.setdefault(number, []).append(user_calls(frame))

    def scheduler_step(self, scheduler: Any, has_epoch: bool, frame: FrameType) -> None:
        known = self._schedules.get(id(scheduler))
        if known is None or known.scheduler() is not scheduler:
            if len(self._schedules) >= MOST:
                return
            known = self._schedules[id(scheduler)] = _Schedule(scheduler, user_calls(frame), frame)
        known.total += 1
        known.last = _rate(scheduler)
        if len(known.places) < MOST_PLACES:
            known.places.add(user_call(frame))
        if not self.now.is_open:
            return
        known.has_epoch |= has_epoch
        known.calls += (user_call(frame),) == known.by[:1]
        optimizer = known.optimizer
        if optimizer not in self._stepped and self._made.get(optimizer) == self._backwards:
            known.early += 1

    def read(self) -> dict[str, Any]:
        return {"schedules": tuple(self._told(s) for s in self._schedules.values() if s.by)}

    def _told(self, one: _Schedule) -> ScheduleRun:
        made = self._makers.get(one.optimizer, [])
        is_known = one.is_torch and len(made) == 1 and len(one.places) == 1 and one.begun == 0
        return ScheduleRun(
            one.type,
            sites(one.by),
            one.calls,
            one.early,
            sites(self._stepped.get(one.optimizer, ())),
            one.has_epoch,
            one.owner,
            sites(made[0]) if is_known else (),
            one.total,
            one.numbers,
            one.milestones,
            (one.first, one.last),
        )
