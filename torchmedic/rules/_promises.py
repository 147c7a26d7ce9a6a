"""What a Dataset promises and what it reads, told by its source: `__len__` against the containers of `__getitem__`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple, cast

from torchmedic.model import Span
from torchmedic.observed import Source
from torchmedic.observed.scopes import binding, parameters
from torchmedic.observed.trace import Reading, Trace
from torchmedic.rules._indexing import Place

_KNOWN = ("tensor", "list", "tuple")


class Promise(NamedTuple):
    """A map-style Dataset of the user. `length`: what `returned`, the only return of `__len__`, gives."""

    dataset: str
    source: Source
    returned: ast.expr
    length: int | None
    reads: tuple[Reading, ...]
    is_plain: bool  # the number asked for is used as a plain index and for nothing else

    @property
    def at(self) -> Span:
        return self.source.span(self.returned)

    @property
    def code(self) -> str:
        return self.source.code(self.returned)

    @property
    def owner(self) -> str:
        function = self.source.function_of(self.returned)
        return (parameters(function) or [""])[0] if function else ""

    def can_be_written(self, container: str) -> bool:
        """True if `__len__` can name it: an attribute of the dataset."""
        return bool(self.owner) and container.startswith(f"{self.owner}.") and "(" not in container

    @property
    def certain(self) -> tuple[Reading, ...]:
        return tuple(read for read in self.reads if read.is_certain)


def promises(trace: Trace) -> Iterator[Promise]:
    """One for each Dataset that was constructed, and for each class that nobody constructs."""
    for event in trace.of("dataset"):
        at = cast(Span, event.facts["length_at"])
        source = trace.source_of(at)
        returned = source.at(at, ast.expr)
        if isinstance(returned, ast.expr):
            length = event.facts["length"]
            yield Promise(
                event.name,
                source,
                returned,
                length if isinstance(length, int) else None,
                cast(tuple[Reading, ...], event.facts["reads"]),
                bool(event.facts["is_plain"]),
            )


# --- `__len__` promises too much


def too_large(promise: Promise) -> Reading | None:
    """The shortest container that is read at the very item, and is certainly shorter than the promise."""
    found = [
        read
        for read in promise.certain
        if read.offset == 0
        and read.spare is not None
        and read.spare < 0
        and (read.kind in _KNOWN or _adds(promise, read))
    ]
    return min(found, key=lambda read: cast(int, read.spare)) if found else None


def _adds(promise: Promise, read: Reading) -> bool:
    """`len(self.rows) + 1`: too much whatever kind of container it is."""
    node = promise.returned
    return (
        isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Add)
        and isinstance(node.right, ast.Constant)
        and ast.unparse(node.left) == f"len({read.container})"
    )


def next_step(promise: Promise) -> Reading | None:
    """`self.rows[i], self.rows[i + 1]` with a `__len__` that lets `i + 1` reach past the end."""
    for read in promise.certain:
        if _reaches_past(read) and any(
            other.container == read.container and other.offset == 0 for other in promise.certain
        ):
            return read
    return None


def window(trace: Trace, promise: Promise) -> tuple[Reading, str] | None:
    """`self.rows[i + self.past]` in every item, and a `__len__` that leaves no room for it; what it has to leave."""
    for read in promise.certain:
        if not _reaches_past(read) or _shift(trace, read) is not None:
            continue
        source = trace.source_of(read.index_at)
        node = source.at(read.index_at, ast.expr)
        if isinstance(node, ast.Name):
            continue  # whoever hands it over adds: dataset-index-shifted
        function = source.function_of(node) if node is not None else None
        items = parameters(function)[1:2] if function is not None else []
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            is_item = isinstance(node.left, ast.Name) and [node.left.id] == items
            if is_item and source.code(node.right).startswith(f"{promise.owner}."):
                return read, source.code(node.right)
        return read, str(read.offset)
    return None


def _reaches_past(read: Reading) -> bool:
    return (
        read.offset is not None
        and read.offset > 0
        and read.spare is not None
        and 0 <= read.spare < read.offset
        and read.kind in _KNOWN
    )


# --- `__len__` leaves items out


def too_small(promise: Promise) -> Reading | None:
    """A container whose last items nothing can ask for. Only where every item is one place of every container."""
    reads = promise.reads
    if not promise.is_plain or not reads or len(promise.certain) < len(reads):
        return None
    first = next((read for read in reads if read.offset is not None), reads[0])
    straight = tuple(read for read in reads if read.offset is not None)
    for read in straight:
        is_same = (read.spare, read.share, read.held) == (first.spare, first.share, first.held)
        if read.offset != 0 or not is_same or read.kind not in _KNOWN:
            return None
        if read.kind != "tensor" and read.held is None:
            return None
    if first.share is not None and first.share > 1:
        return first
    if first.offset is None or first.spare is None or first.spare <= 0:
        return None
    if not _is_blunder(promise, straight):
        return None
    return first


def _is_blunder(promise: Promise, reads: tuple[Reading, ...]) -> bool:
    """True for a number in the source, a part of a length, and the length of something that is not read.

    An attribute (`self.epoch_size`) or a `min(…)` may be a limit that somebody wants.
    """
    node = promise.returned
    if isinstance(node, ast.Constant):
        return True
    if isinstance(node, ast.BinOp):
        is_literal = isinstance(node.right, ast.Constant) and type(node.right.value) is int
        return is_literal and isinstance(node.op, (ast.Sub, ast.FloorDiv)) and _is_length(node.left)
    key = node.slice if isinstance(node, ast.Subscript) else None
    is_other_dimension = isinstance(key, ast.Constant) and key.value != 0
    is_read = any(read.container in promise.code for read in reads)
    return _is_length(node) and (is_other_dimension or not is_read)


def _is_length(node: ast.expr) -> bool:
    """`len(self.x)`, `self.x.shape[0]`, `self.x.size(0)`."""
    if isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        return name == "len" or method == "size"
    return (
        isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "shape"
    )


# --- the index is shifted


def reaching_past(trace: Trace, promise: Promise) -> tuple[Reading, Place] | None:
    """A read at the item plus a constant that reaches past the end, and the expression that adds it."""
    for read in promise.certain:
        if _reaches_past(read) and not any(
            other.container == read.container and other.offset == 0 for other in promise.reads
        ):
            place = _shift(trace, read)
            if place is not None:
                return read, place
    return None


def wrapped(trace: Trace, promise: Promise) -> tuple[Reading, Place, Reading] | None:
    """A read at the item minus a constant beside one at the item itself: item 0 gets the last of the one container."""
    if len(promise.certain) < len(promise.reads) or not promise.reads:
        return None
    if any(read.spare != 0 or read.kind not in _KNOWN for read in promise.reads):
        return None
    straight = [read for read in promise.reads if read.offset == 0]
    back = [read for read in promise.reads if read.offset is not None and read.offset < 0]
    if not straight or len(straight) + len(back) < len(promise.reads):
        return None
    for read in back:
        if all(other.container != read.container for other in straight):
            place = _shift(trace, read)
            if place is not None:
                return read, place, straight[0]
    return None


def _shift(trace: Trace, read: Reading) -> Place | None:
    """The `index + 1` itself: in the brackets, or where the name in them was assigned."""
    source = trace.source_of(read.index_at)
    node = source.at(read.index_at, ast.expr)
    function = source.function_of(node) if node is not None else None
    if isinstance(node, ast.Name) and function is not None:
        bound = binding(source, function, node)
        node = bound[0] if bound is not None and not bound[1] and not bound[2] else None
    is_sum = isinstance(node, ast.BinOp) and any(
        isinstance(side, ast.Constant) and side.value == abs(read.offset or 0)
        for side in (node.left, node.right)
    )
    return Place(source, node) if is_sum and isinstance(node, ast.expr) else None
