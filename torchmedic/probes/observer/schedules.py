"""Whether a scheduler steps before its optimizer."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from types import FrameType
from typing import Any

from torchmedic.observed.run_memory import ScheduleRun
from torchmedic.probes.observer.stack import Call, sites, user_call, user_calls
from torchmedic.probes.observer.watcher import Now, Watcher

MOST = 64


class _Schedule:
    def __init__(self, scheduler: Any, by: tuple[Call, ...]) -> None:
        self.scheduler = weakref.ref(scheduler)
        self.type = type(scheduler).__name__
        self.optimizer = id(scheduler.optimizer)
        self.by = by
        self.calls = self.early = 0
        self.has_epoch = False


class Schedules(Watcher):
    def __init__(self, now: Now) -> None:
        super().__init__(now)
        self._schedules: dict[int, _Schedule] = {}
        self._made: dict[int, int] = {}  # id of an optimizer -> backward passes before it
        self._stepped: dict[int, tuple[Call, ...]] = {}
        self._backwards = 0

    def optimizer_made(self, optimizer: Any, frame: FrameType) -> None:
        if len(self._made) < MOST:
            self._made[id(optimizer)] = self._backwards

    def backward_begins(self, tensors: Any, frame: FrameType) -> None:
        self._backwards += 1

    def step_begins(
        self, optimizer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], frame: FrameType
    ) -> None:
        if id(optimizer) not in self._stepped and len(self._stepped) < MOST:
            self._stepped[id(optimizer)] = user_calls(frame)

    def scheduler_step(self, scheduler: Any, has_epoch: bool, frame: FrameType) -> None:
        known = self._schedules.get(id(scheduler))
        if known is None or known.scheduler() is not scheduler:
            if len(self._schedules) >= MOST:
                return
            known = self._schedules[id(scheduler)] = _Schedule(scheduler, user_calls(frame))
        if not self.now.is_open:
            return
        known.has_epoch |= has_epoch
        known.calls += (user_call(frame),) == known.by[:1]
        optimizer = known.optimizer
        if optimizer not in self._stepped and self._made.get(optimizer) == self._backwards:
            known.early += 1

    def read(self) -> dict[str, Any]:
        return {
            "schedules": tuple(
                ScheduleRun(
                    one.type,
                    sites(one.by),
                    one.calls,
                    one.early,
                    sites(self._stepped.get(one.optimizer, ())),
                    one.has_epoch,
                )
                for one in self._schedules.values()
                if one.by
            )
        }
