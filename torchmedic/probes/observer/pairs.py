"""Loops that walk the parameters of one module twice at once: `zip(average.parameters(), model.parameters())`.

`parameters()` is a generator: both begin when the loop asks for its first pair, one behind the other, on one line.
"""

from __future__ import annotations

import weakref
from types import FrameType
from typing import Any

from torchmedic.observed.run_memory import Paired
from torchmedic.probes.observer.stack import Call, is_own_code, sites, user_calls
from torchmedic.probes.observer.watcher import Now, Watcher

MOST_PLACES = 16


class _Place:
    def __init__(self, by: tuple[Call, ...]) -> None:
        self.by = by
        self.times = 0


class Pairs(Watcher):
    def __init__(self, now: Now) -> None:
        super().__init__(now)
        self._places: dict[tuple[int, int], _Place] = {}
        self._held: list[Call] = []  # whose ids are keys
        self._last: tuple[int, int, weakref.ref[Any]] | None = None

    def parameters_walked(self, module: Any, frame: FrameType) -> None:
        above = frame.f_back
        if above is None or not is_own_code(above.f_code):
            return
        code, line = id(above.f_code), above.f_lineno
        last, self._last = self._last, (code, line, weakref.ref(module))
        is_same = last is not None and last[:2] == (code, line) and last[2]() is module
        if not is_same:
            return
        self._last = None
        place = self._places.get((code, line))
        if place is None:
            is_empty = next(iter(module.parameters()), None) is None
            if is_empty or len(self._places) >= MOST_PLACES:
                return  # of an empty module nothing is walked, and the other one never asked
            by = user_calls(above)
            place = self._places[code, line] = _Place(by)
            self._held.append(by[0])
        place.times += 1

    def read(self) -> dict[str, Any]:
        return {"paired": tuple(Paired(sites(p.by), p.times) for p in self._places.values())}
