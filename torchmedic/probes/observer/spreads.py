"""Differences written by hand of a column and of N numbers: what a loss is the mean of, as its graph shows it.

Only the first nodes behind the loss are walked, those of one number or of an N x N table, and only in a few calls of
each place. The numbers of the table that autograd has saved are compared with tensors of the user's frames.
"""

from __future__ import annotations

import re
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from functools import cache
from types import FrameType
from typing import Any, NamedTuple

from torchmedic.model import Span
from torchmedic.observed import Site
from torchmedic.observed.run_numbers import Spread
from torchmedic.probes.frames import is_user
from torchmedic.probes.observer.looks import can_read, is_due, is_plain
from torchmedic.probes.observer.stack import (
    Call,
    local_names,
    owner_of,
    user_call,
)
from torchmedic.probes.observer.watcher import Now, Watcher

MOST_PLACES = 16
ALL = 8  # backward passes of a place, each of them looked at
MOST_NODES = 48  # from the loss to the difference
MOST_TRACES = 3  # steps with autograd's notes, for one place
MOST_FRAMES = 3  # whose names are looked at
MOST_NAMES = 400  # of one frame
DEEPEST = 12  # operations of a column, back to the layer that made it
TOLERANCE = 1e-4  # of the largest number
SMALLEST = 20  # times the tolerance: what all targets differ by at least, so that they can be told
_ENTRY = re.compile(r'\s*File "(.*)", line (\d+), in (.*)')
_ELEMENTWISE = "Pow|Abs|Mul|Div|Add|Sub|Neg|Sqrt|Where|Maximum|Log|Log1P|Cosh|Softplus|Clone|ToCopy"
_REDUCED_BY = ("MeanBackward0", "SumBackward0", "LinalgVectorNormBackward0")
# Their own second dimension is one for another reason than that the program made an axis.
_COLUMNS = "Addmm|Mm|Linear|MkldnnLinear|Gather|Slice|Select|Split|SplitWithSizes"
_KEEPS = _ELEMENTWISE + "|Sigmoid|Tanh|Relu|LeakyRelu|Elu|Gelu|Silu|Exp|Clamp|Alias"


@cache
def _is(names: str, name: str) -> bool:
    return re.fullmatch(f"({names})Backward\\d", name) is not None


class _Found(NamedTuple):
    """A difference in a loss's graph. `side`: 0 if the prediction is what is subtracted from; `table`: N x N numbers."""

    node: Any
    side: int
    shape: tuple[int, ...]  # of the prediction
    table: Any


class _Place:
    def __init__(self, frame: FrameType) -> None:
        self.owner = owner_of(frame)
        self.met = self.looked = self.spread = self.traces = 0
        self.by: tuple[Site, ...] = ()
        self.prediction: tuple[int, ...] = ()
        self.target: tuple[int, ...] = ()
        self.is_left = True  # the prediction


class Spreads(Watcher):
    def __init__(self, now: Now) -> None:
        super().__init__(now)
        self._places: dict[Call, _Place] = {}
        self._traced: _Place | None = None
        self._until = 0

    def backward_begins(self, tensors: Any, frame: FrameType) -> None:
        call = user_call(frame)
        place = self._places.get(call) if call is not None else None
        if place is None and call is not None and len(self._places) < MOST_PLACES:
            place = self._places[call] = _Place(frame)
        if place is None:
            return
        place.met += 1
        is_traced = place is self._traced
        if is_traced or place.met <= ALL or is_due(place.met):
            self._look(place, tensors, frame)
        if is_traced or (self._traced is not None and self.now.steps >= self._until):
            self._end_trace()

    def _look(self, place: _Place, tensors: Any, frame: FrameType) -> None:
        if place.owner or self.now.has_saved_hooks or len(tensors) != 1:
            return
        place.looked += 1
        loss = tensors[0]
        if not is_plain(loss) or loss.numel() != 1 or loss.grad_fn is None:
            return
        found = difference(loss.grad_fn)
        target = _target(found, frame) if found is not None else ()
        if found is None or not target:
            return
        place.spread += 1
        if place is self._traced:
            place.by = _written(found.node) or place.by
        elif not place.by and place.traces < MOST_TRACES:
            self._trace(place)
        if not place.prediction:
            place.prediction, place.target = found.shape, target
            place.is_left = found.side == 0

    # --- where it stands: one step with autograd's own notes of the forward pass

    def _trace(self, place: _Place) -> None:
        torch: Any = sys.modules["torch"]
        if not torch.is_anomaly_enabled():
            place.traces += 1
            torch.set_anomaly_enabled(True, False)
            self._traced, self._until = place, self.now.steps + 2

    def _end_trace(self) -> None:
        if self._traced is not None:
            torch: Any = sys.modules["torch"]
            self._traced = None
            if torch.is_anomaly_enabled() and not torch.is_anomaly_check_nan_enabled():
                torch.set_anomaly_enabled(False)

    def closed(self) -> None:
        self._end_trace()

    def read(self) -> dict[str, Any]:
        self._end_trace()
        return {"spreads": tuple(_told(p) for p in self._places.values() if p.by)}


def _told(place: _Place) -> Spread:
    return Spread(
        place.by,
        place.looked,
        place.spread,
        place.prediction,
        place.target,
        place.is_left,
    )


def difference(root: Any) -> _Found | None:
    """The one whose square, absolute value or the like, over all N x N pairs, the number is the mean or the sum of.

    None if anything hints that the pairs are meant: both sides depend on parameters, a mask or weights for the pairs, a
    function that is no usual loss, a column that the program has made by an axis of its own.
    """
    seen, found = {root}, None
    waiting = deque([root])
    for _ in range(MOST_NODES):
        if not waiting:
            break
        node = waiting.popleft()
        shape, name = _shape(node), str(node.name())
        if shape and (not _is(_ELEMENTWISE, name) or _is_masked(node, name, shape)):
            return None
        ways = node.next_functions
        for position, (way, _) in enumerate(ways):
            behind = _shape(way) if way is not None and way not in seen else None
            if behind is None:
                continue
            if shape and name.startswith("Sub") and behind in ((shape[0], 1), shape[:1]):
                is_pair = all(w is not None for w, _ in ways)
                if is_pair or (len(behind) == 2 and not _is_column_of_layer(way)):
                    return None
                found = found or (node, position, behind)
                continue
            is_reduced = not shape and _is_square(behind) and name in _REDUCED_BY
            if not behind or is_reduced or (shape and behind == shape):
                seen.add(way)
                waiting.append(way)
    table = _table(seen, found[0]) if found is not None else None
    return _Found(*found, table) if found is not None and table is not None else None


def _shape(node: Any) -> tuple[int, ...] | None:
    """Of the one result; None where it can't be told."""
    told: Any = getattr(node, "_input_metadata", ())
    return tuple(told[0].shape) if len(told) == 1 else None


def _is_square(shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 and shape[0] == shape[1] > 1


def _is_masked(node: Any, name: str, shape: tuple[int, ...]) -> bool:
    """Another N x N table takes part that depends on no parameter."""
    ways = [way for way, _ in node.next_functions]
    if None not in ways:
        return False
    other = getattr(node, f"_saved_{'self' if ways[0] is None else 'other'}", None)
    return name.startswith("Where") or getattr(other, "shape", ()) == shape


def _table(users: Iterable[Any], node: Any) -> Any:
    """The result of the node, as one of the operations that take it has saved it."""
    for user in users:
        for position, (way, _) in enumerate(user.next_functions):
            name = f"_saved_{('self', 'other')[min(position, 1)]}"
            try:
                saved = getattr(user, name, None) if way is node else None
            except RuntimeError:  # freed, or changed in place
                continue
            if saved is not None and can_read(saved) and tuple(saved.shape) == _shape(node):
                return saved
    return None


def _is_column_of_layer(node: Any) -> bool:
    shape = _shape(node)
    for _ in range(DEEPEST):
        name = str(node.name())
        if _is(_COLUMNS, name):
            return True
        ways = [w for w, _ in node.next_functions if w is not None and _shape(w) == shape]
        if not _is(_KEEPS, name) or not ways:
            return False
        node = ways[0]
    return False


def _target(found: _Found, frame: FrameType) -> tuple[int, ...]:
    """The shape in which the user's frames hold what the prediction is compared with; () if none of them does."""
    torch: Any = sys.modules["torch"]
    size = found.table.shape[0]
    wanted = (size,) if len(found.shape) == 2 else (size, 1)
    with torch.no_grad():
        table = found.table.detach()
        line = (table[0] if len(found.shape) == 2 else table[:, 0]).double()
        limit = TOLERANCE * max(1.0, float(line.abs().max()))
        line = (line - line[0]) * (-1 if found.side == 0 else 1)
        if not float(line.abs().max()) > SMALLEST * limit:
            return ()
        for tensor in _held(frame, wanted):
            values = tensor.detach().flatten().double()
            if float((values - values[0] - line).abs().max()) <= limit:
                return wanted
    return ()


def _held(frame: FrameType | None, shape: tuple[int, ...]) -> Iterator[Any]:
    """Tensors of that shape that the nearest of the user's frames have a name for, or hold in a container."""
    left = MOST_FRAMES
    while frame is not None and left:
        if is_user(frame.f_code.co_filename):
            left -= 1
            for _, value in local_names(frame)[:MOST_NAMES]:
                inside = value.values() if type(value) is dict else value
                is_many = type(value) in (list, tuple, dict) and len(value) <= 8
                for one in inside if is_many else (value,):
                    if can_read(one) and tuple(one.shape) == shape and not one.requires_grad:
                        yield one
        frame = frame.f_back


def _written(node: Any) -> tuple[Site, ...]:
    """The user's lines of the operation, the nearest first, as autograd has noted them; lines without columns."""
    entries = [m for text in node.metadata.get("traceback_", ()) if (m := _ENTRY.match(text))]
    mine = [e for e in entries if is_user(e[1])]
    return tuple(Site(Span(e[1], int(e[2])), e[3]) for e in reversed(mine))[:6]
