"""Whether gradients are clipped when a step has already used them."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from types import FrameType
from typing import Any

from torchmedic.observed.run_memory import Clip
from torchmedic.probes.observer.stack import Call, sites, user_calls
from torchmedic.probes.observer.watcher import Now, Watcher

MOST = 32
UNKNOWN = -1


class _Place:
    def __init__(self, function: str, by: tuple[Call, ...]) -> None:
        self.function = function
        self.by = by
        self.calls = self.late = 0
        self.stepped_by: tuple[Call, ...] = ()
        self.cleared_by: tuple[Call, ...] = ()


class Clipping(Watcher):
    def __init__(self, now: Now) -> None:
        super().__init__(now)
        self._places: dict[Call, _Place] = {}
        self._pending = UNKNOWN  # backward passes since the last step
        self._waiting: list[tuple[_Place, weakref.ref[Any] | None]] = []  # clipped after the step
        self._is_cleared = False
        self._cleared: tuple[Call, ...] = ()
        self._step: tuple[Call, ...] = ()

    def opened(self) -> None:
        self._pending = UNKNOWN
        self._waiting = []

    def clipped(self, function: str, parameters: Any, frame: FrameType) -> None:
        calls = user_calls(frame)
        if not calls or self._pending == UNKNOWN:
            return
        place = self._places.get(calls[0])
        if place is None:
            if len(self._places) >= MOST:
                return
            place = self._places[calls[0]] = _Place(function, calls)
        place.calls += 1
        if not self._pending:
            clipped = next((p for p in parameters if p.grad is not None), None)
            place.stepped_by = self._step or place.stepped_by
            self._waiting.append((place, None if clipped is None else weakref.ref(clipped)))

    def zero_grad(self, optimizer: Any, frame: FrameType) -> None:
        self._is_cleared = True
        if self._waiting:
            self._cleared = user_calls(frame)

    def backward_begins(self, tensors: Any, frame: FrameType) -> None:
        for place, ref in self._waiting:
            parameter = ref() if ref is not None else None
            if self._is_cleared or (parameter is not None and parameter.grad is None):
                place.late += 1
                place.cleared_by = self._cleared or place.cleared_by
        self._waiting = []
        self._is_cleared, self._cleared = False, ()
        self._pending = max(self._pending, 0) + 1

    def step_begins(
        self, optimizer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], frame: FrameType
    ) -> None:
        if self.now.is_open:
            self._waiting = []  # this step may use what was clipped
            if self._places:
                self._step = user_calls(frame)

    def step_ends(self, optimizer: Any) -> None:
        if self._pending > 0:
            self._pending = 0
            self._is_cleared = False

    def read(self) -> dict[str, Any]:
        return {
            "clips": tuple(
                Clip(
                    sites(p.by),
                    p.function,
                    p.calls,
                    p.late,
                    sites(p.stepped_by),
                    sites(p.cleared_by),
                )
                for p in self._places.values()
            )
        }
