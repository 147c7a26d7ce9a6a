"""Labels that a program cuts out of one tensor by hand, slice behind slice, for a classification loss."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import FrameType
from typing import Any, NamedTuple

from torchmedic.observed.run_data import Sliced
from torchmedic.probes.observer.looks import can_read
from torchmedic.probes.observer.stack import Call, owner_of, sites, user_call, user_calls
from torchmedic.probes.observer.watcher import Now, Watcher

LOSSES = ("cross_entropy", "nll_loss")
MOST_PLACES = 16
MOST_SLICES = 256  # of a place
MOST_LABELS = 4096  # of a slice
MOST_PASSES = 4


class _Slice(NamedTuple):
    base: int  # id of the tensor that it was cut out of, which the place holds
    begin: int
    end: int
    low: int
    high: int
    step: int  # how many there had been


class _Place:
    def __init__(self, frame: FrameType) -> None:
        self.by = user_calls(frame)
        self.owner = owner_of(frame)
        self.slices: list[_Slice] = []
        self.base: Any = None  # held, so that its id stays its own
        self.is_other = False  # something else than slices of one tensor came too


class Slices(Watcher):
    def __init__(self, now: Now) -> None:
        super().__init__(now)
        self._places: dict[Call, _Place] = {}

    def lost(self, name: str, names: Mapping[str, Any], frame: FrameType) -> None:
        if name not in LOSSES or not getattr(names.get("input"), "requires_grad", False):
            return
        call = user_call(frame)
        place = self._places.get(call) if call is not None else None
        if place is None and call is not None and len(self._places) < MOST_PLACES:
            place = self._places[call] = _Place(frame)
        if place is None or place.is_other or len(place.slices) >= MOST_SLICES:
            return
        found = self._slice(names.get("target"))
        if found is None or (place.base is not None and id(place.base) != found.base):
            place.is_other, place.base, place.slices = True, None, []
            return
        place.base = names["target"]._base
        place.slices.append(found)

    def _slice(self, target: Any) -> _Slice | None:
        torch: Any = sys.modules["torch"]
        if not can_read(target) or target.dtype != torch.int64 or target.dim() != 1:
            return None
        base, size = target._base, int(target.numel())
        if base is None or base.dim() != 1 or not target.is_contiguous() or not size > 0:
            return None
        whole = base.untyped_storage().nbytes() // base.element_size()
        if size > MOST_LABELS or base.storage_offset() or base.numel() != whole:
            return None
        with torch.no_grad():
            low, high = (int(v) for v in torch.aminmax(target.detach()))
        begin = int(target.storage_offset())
        return _Slice(id(base), begin, begin + size, low, high, self.now.steps)

    def read(self) -> dict[str, Any]:
        told = [_told(p) for p in self._places.values() if p.slices and not p.is_other]
        return {"sliced": tuple(one for one in told if one.passes)}


def _told(place: _Place) -> Sliced:
    """Passes from the tensor's first element to its last, without a gap; the last slice may be left out."""
    passes: list[list[_Slice]] = []
    current: list[_Slice] = []
    for one in place.slices:
        if one.begin == 0:
            current = [one]
        elif current and one.begin == current[-1].end:
            current.append(one)
        else:
            current = []
        is_last = bool(current) and current[-1].end + (one.end - one.begin) > len(place.base)
        if is_last and (not passes or passes[-1] is not current):
            passes.append(current)
    labels = tuple(tuple((s.low, s.high) for s in p) for p in passes[:MOST_PASSES])
    steps = [p[-1].step - p[0].step for p in passes[:MOST_PASSES]]
    return Sliced(
        sites(place.by),
        labels,
        min(steps, default=0),
        place.slices[0].end - place.slices[0].begin,
        place.owner,
    )
