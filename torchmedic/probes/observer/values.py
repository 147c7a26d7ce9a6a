"""The numbers that training goes by: losses, learning rates, and the first of them that is NaN or infinite."""

from __future__ import annotations

import math
import sys
import weakref
from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from types import FrameType
from typing import Any

from torchmedic.observed.run_numbers import Losses, NotFinite, Rates, Value
from torchmedic.probes.observer.looks import is_due, is_elsewhere, is_finite, number
from torchmedic.probes.observer.not_finite import origin_of
from torchmedic.probes.observer.root_calls import RootCalls
from torchmedic.probes.observer.stack import Call, owner_of, sites, user_call, user_calls
from torchmedic.probes.observer.watcher import Now, Watcher, paused

MOST_PLACES = 32
MOST_VALUES = 256
LOOKED_AT = 2  # parameters, the smaller of which is read
MOST_REPLAYS = 2
MOST_LATER = 64  # numbers that wait on an accelerator for the end of the window
ALL = 8  # backward passes, behind each of which a gradient is read


class _Place:
    def __init__(self, frame: FrameType) -> None:
        self.by = user_calls(frame)
        self.owner = owner_of(frame)
        self.values: list[Value] = []
        self.bad = 0  # looks in a row


class _Rate:
    def __init__(self, optimizer: Any, frame: FrameType) -> None:
        self.optimizer = weakref.ref(optimizer)
        self.type = type(optimizer).__name__
        self.is_torch = type(optimizer).__module__.startswith("torch.optim.")
        self.stepped_by = user_calls(frame)
        self.owner = owner_of(frame)
        self.steps = 0
        self.lowest, self.highest = math.inf, -math.inf
        self.made_by: tuple[Call, ...] = ()


class Values(Watcher):
    _in_windows = frozenset({"step_begins"})

    def __init__(self, now: Now, calls: RootCalls) -> None:
        super().__init__(now)
        self._calls = calls
        self._places: dict[tuple[int, int], _Place] = {}
        self._codes: list[Call] = []
        self._rates: dict[int, _Rate] = {}
        self._gone: list[_Rate] = []
        self._made: dict[int, tuple[Call, ...]] = {}
        self._current: tuple[_Place, float] | None = None
        self._small: tuple[int, weakref.ref[Any] | None] = (0, None)
        self._first: NotFinite | None = None
        self._at: _Place | None = None
        self._bad_gradients = 0
        self._replays = self._backwards = 0
        self._until = 0
        self._later: list[tuple[_Place, int, Any]] = []

    # --- learning rates

    def optimizer_made(self, optimizer: Any, frame: FrameType) -> None:
        if len(self._made) < MOST_PLACES:
            self._made[id(optimizer)] = user_calls(frame)

    def step_begins(
        self, optimizer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], frame: FrameType
    ) -> None:
        rate = self._rates.get(id(optimizer))
        if rate is None or rate.optimizer() is not optimizer:
            if len(self._rates) + len(self._gone) >= MOST_PLACES:
                return
            if rate is not None:
                self._gone.append(rate)
            rate = self._rates[id(optimizer)] = _Rate(optimizer, frame)
            rate.made_by = self._made.get(id(optimizer), ())
        rate.steps += 1
        for group in optimizer.param_groups:
            lr = group.get("lr")
            value = lr if isinstance(lr, float) else float(lr) if isinstance(lr, int) else math.nan
            rate.lowest, rate.highest = min(rate.lowest, value), max(rate.highest, value)
            if value != value:
                rate.is_torch = False

    # --- losses

    def backward_begins(self, tensors: Any, frame: FrameType) -> None:
        self._current = None
        if len(tensors) != 1:
            return
        value = number(tensors[0])
        if value is None and not is_elsewhere(tensors[0]):
            return
        place = self._place(frame)
        if place is None:
            return
        if value is not None:
            self._current = place, value
            self._noted(place, self.now.steps, value, tensors[0])
        elif len(self._later) < MOST_LATER:
            self._later.append((place, self.now.steps, tensors[0].detach()))

    def _noted(self, place: _Place, step: int, value: float, loss: Any) -> None:
        """`loss` is None where the number is read later: what it was computed from is gone."""
        if math.isfinite(value):
            place.bad = 0
            if place is self._at and self._first is not None and self._first.kind == "loss":
                self._first = self._at = None  # the program got over it
        else:
            place.bad += 1
            self._until = step
            if self._first is None:
                self._at = place
                self._first = self._traced("loss", loss, value, place, step)
        if len(place.values) < MOST_VALUES:
            place.values.append(Value(step, value))

    def _read_later(self) -> None:
        """What waits on an accelerator, in one transfer."""
        waiting, self._later = self._later, []
        if not waiting:  # torch may not be loaded
            return
        torch: Any = sys.modules["torch"]
        for device in {tensor.device for _, _, tensor in waiting}:
            mine = [one for one in waiting if one[2].device == device]
            numbers = torch.stack([t.reshape(()).float() for _, _, t in mine]).tolist()
            for (place, step, _), value in zip(mine, numbers, strict=True):
                self._noted(place, step, value, None)

    def closed(self) -> None:
        self._read_later()

    def backward_ends(self, frame: FrameType) -> None:
        current = self._current
        if current is None or not math.isfinite(current[1]) or not self._calls.recent:
            return
        self._backwards += 1
        is_sure = self._backwards > ALL and self._first is None
        if is_sure and not is_due(self._backwards):
            return
        module = self._calls.recent[-1].module
        if module is None:
            return
        gradient = self._gradient(module)
        if gradient is None:
            return
        if is_finite(gradient):
            self._bad_gradients = 0
            if self._first is not None and self._first.kind == "gradient":
                self._first = self._at = None
            return
        self._bad_gradients += 1
        self._until = self.now.steps
        if self._first is None:
            self._at = current[0]
            step = self.now.steps
            self._first = self._traced("gradient", gradient, current[1], current[0], step)

    def _gradient(self, module: Any) -> Any:
        """Of one of the model's first parameters: what isn't finite on the way back arrives there."""
        known, ref = self._small
        parameter = ref() if ref is not None and known == id(module) else None
        if parameter is None:
            trained = (p for p in module.parameters() if p.requires_grad)
            first = sorted(islice(trained, LOOKED_AT), key=lambda p: int(p.numel()))
            if not first:
                return None
            parameter = first[0]
            self._small = id(module), weakref.ref(parameter)
        return parameter.grad

    def _place(self, frame: FrameType) -> _Place | None:
        call = user_call(frame)
        if call is None:
            return None
        key = (id(call.code), call.lasti)
        found = self._places.get(key)
        if found is None and len(self._places) < MOST_PLACES:
            self._codes.append(call)
            found = self._places[key] = _Place(frame)
        return found

    def _traced(self, kind: Any, tensor: Any, value: float, place: _Place, step: int) -> NotFinite:
        torch: Any = sys.modules["torch"]
        shown = str(value)
        if kind == "gradient":
            shown = "nan" if bool(torch.isnan(tensor.detach()).any()) else "inf"
        before = next((v for v in reversed(place.values) if math.isfinite(v.value)), None)
        found = NotFinite(kind, step, shown, sites(place.by), before=before, owner=place.owner)
        if self._replays >= MOST_REPLAYS or tensor is None:
            return found
        self._replays += 1
        with paused(self.now), torch.no_grad(), suppress(Exception):
            return origin_of(found, tensor, list(self._calls.recent), self.now.made_by)
        return found

    # --- what is told

    def read(self) -> dict[str, Any]:
        self._read_later()
        first = self._first
        if first is not None and self._at is not None:
            lasted = self._bad_gradients if first.kind == "gradient" else 0
            first = first._replace(lasted=lasted + self._at.bad, until=self._until)
        places = self._places.values()
        return {
            "not_finite": first,
            "values": tuple(Losses(sites(p.by), tuple(p.values), p.owner) for p in places),
            "rates": tuple(_told(r) for r in (*self._gone, *self._rates.values()) if r.steps),
        }


def _told(rate: _Rate) -> Rates:
    return Rates(
        rate.type,
        sites(rate.made_by),
        sites(rate.stepped_by),
        rate.steps,
        rate.lowest,
        rate.highest,
        rate.is_torch,
        rate.owner,
    )
