"""What rules about datasets share: which container failed under `__getitem__`, at which index, and how long it is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from torchmedic.model import read
from torchmedic.observed import Failure, Frame, Value
from torchmedic.observed.project import Defined, Project
from torchmedic.observed.scopes import parameters
from torchmedic.rules._containers import container_of, is_global, shown, size_of
from torchmedic.rules._indexing import ITEM, Index, Level, Place, Reader, levels_of, on_line
from torchmedic.rules._length import (
    Length,
    is_torch_dataset,
    known_value,
    length_of,
    live_loader,
)

OUT_OF_RANGE = (
    "index {index:d} is out of bounds for dimension {dimension:d} with size {held:d}",
    "index {index:d} is out of bounds for axis {dimension:d} with size {held:d}",
    "select(): index {index:d} out of range for tensor of size {shape:shape} at dimension {dimension:d}",
    "Invalid key: {index:d} is out of bounds for size {held:d}",
    "Index ({index:d}) out of range",
    "positional indexer is out-of-bounds",
    "index {index:d} is out of bounds for size {held:d}",
    "list index out of range",
    "tuple index out of range",
    "deque index out of range",
    "string index out of range",
    "range object index out of range",
    "array index out of range",
    "index out of bounds",
)
_LOADER = r"torch[\\/]utils[\\/]data[\\/](?:dataloader|_utils[\\/](?:fetch|worker))\.py$"


class Access(NamedTuple):
    """A subscript that failed under `__getitem__`. `container` is written as `__len__` would write it."""

    project: Project
    reader: Reader
    level: int  # the failing function's, counted from `__getitem__`
    owner: Defined
    subscript: ast.Subscript
    position: Index
    container: str
    item: int | None  # the number that `__getitem__` was asked for
    number: int | None  # the index that failed
    held: int | None
    dimension: int
    values: Mapping[str, Value]
    length: Length | None

    @property
    def place(self) -> Place:
        return Place(self.reader.levels[self.level].source, self.subscript)

    @property
    def facts(self) -> dict[str, object]:
        known = {
            "dataset": self.owner.node.name,
            "length": self.length.number if self.length else None,
            "container": self.shown,
            "index": self.number,
            "held": self.held,
        }
        return {name: value for name, value in known.items() if value is not None}

    @property
    def shown(self) -> str:
        return shown(self.container)

    def can_be_written(self, code: str) -> bool:
        """True if `__len__` knows every name in the code: the dataset itself, and constants of its own file."""
        length = self.length
        if length is None or (parameters(length.function) or [""])[0] != self.reader.owner:
            return False
        used = [n for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Name)]
        names = {n.id for n in used} - {n.id for n in used if isinstance(n.ctx, ast.Store)}
        names -= {self.reader.owner, "len", "min"}
        return all(is_global(length.source.tree, name) for name in names)


def told(failure: Failure) -> dict[str, object] | None:
    """The numbers in the message, if it says that an index does not exist."""
    text = failure.message.strip()
    if failure.type == "KeyError":
        return {"index": int(text)} if re.fullmatch(r"-?\d{1,12}", text) else None
    if failure.type != "IndexError":
        return None
    return next((f for t in OUT_OF_RANGE if (f := read(t, text)) is not None), None)


def from_loader(failure: Failure) -> bool:
    """True if a DataLoader asked for the item."""
    return failure.is_worker or any(
        not f.is_user and re.search(_LOADER, f.at.path) for f in failure.frames
    )


def _asked(failure: Failure) -> list[Frame]:
    """The user's frames below the innermost loader frame; all of them where no loader is involved."""
    frames = list(failure.frames)
    last = max(
        (i for i, f in enumerate(frames) if not f.is_user and re.search(_LOADER, f.at.path)),
        default=-1,
    )
    return [f for f in frames[last + 1 :] if f.is_user]


def item_frames(failure: Failure) -> list[Frame]:
    """The user's frames from the innermost `__getitem__` on, if the failing one is at the same object's methods."""
    frames = _asked(failure)
    starts = [i for i, f in enumerate(frames) if f.function.rpartition(".")[2] in ITEM]
    return frames[starts[-1] :] if starts else []


def accesses(failure: Failure) -> Iterator[Access]:
    """What failed under each `__getitem__` on the stack, innermost first."""
    facts = told(failure)
    frames = _asked(failure)
    if facts is None or not frames:
        return
    starts = [i for i, f in enumerate(frames) if f.function.rpartition(".")[2] in ITEM]
    inner: Access | None = None
    for start, stop in zip(reversed(starts), [len(frames), *reversed(starts[1:])], strict=False):
        found: Access | None = None
        if inner is not None and inner.length is not None:
            found = _access(failure, frames[start:stop], facts, inner)
        if found is None:
            found = _access(failure, frames[start:], facts, None)
        if found is not None:
            yield found
        inner = found


def _access(
    failure: Failure, frames: Sequence[Frame], facts: Mapping[str, object], inner: Access | None
) -> Access | None:
    levels = levels_of(failure, frames)
    if not levels or levels[-1].frame is not frames[-1]:
        return None
    around = levels[0].source.enclosing(levels[0].function, ast.ClassDef)
    if around is None:
        return None
    project = Project(failure)
    owner = Defined(levels[0].source, around)
    loader = live_loader(failure, around, project)
    values = dict(_attributes(levels[0]))
    if loader is not None:
        values.update({**loader.attributes, **loader.containers})
        source = failure.source(loader.dataset_at)
        derived = source.class_at(loader.dataset_at) if source and loader.dataset_at else None
        if source is not None and derived is not None:
            owner = Defined(source, derived)
    if not from_loader(failure) and not (failure.is_live and is_torch_dataset(project, owner)):
        return None
    reader, last = Reader(levels), len(levels) - 1
    length = length_of(project, owner, values)
    dimension = facts.get("dimension") if inner is None else 0
    dimension = dimension if isinstance(dimension, int) else 0
    told_number = facts.get("index") if inner is None else inner.item
    told_size = facts.get("held") if inner is None else inner.length and inner.length.number
    asked = _number(levels[0].frame.values.get(reader.item))
    rebound = any(
        isinstance(n, ast.Name) and n.id == reader.item and isinstance(n.ctx, ast.Store)
        for n in ast.walk(levels[0].function)
    )
    for node in on_line(levels[-1], ast.Subscript):
        key = _key(node, dimension) if isinstance(node, ast.Subscript) else None
        index = reader.read(key, last) if key is not None else None
        if not isinstance(node, ast.Subscript) or index is None or not index.scale:
            continue
        container = container_of(reader, last, node.value)
        if container is None:
            continue
        size = size_of(container, reader.owner, values, dimension)
        item = None if rebound and not index.is_item else asked
        number = _evaluated(index, item, reader, values)
        if number is None and index.lookup is not None:
            number = _looked_up(levels[-1], key, index.lookup, item, reader, values)
        if isinstance(told_number, int):
            if number not in (None, told_number):
                continue
            number = told_number
        if isinstance(told_size, int):
            if size not in (None, told_size):
                continue
            size = told_size
        if failure.type == "IndexError" and number is not None and 0 <= number < (size or 0):
            continue
        return Access(
            project,
            reader,
            last,
            owner,
            node,
            index,
            container,
            item,
            number,
            size,
            dimension,
            values,
            length,
        )
    return None


def _key(node: ast.Subscript, dimension: int) -> ast.expr | None:
    """The index of that dimension."""
    if isinstance(node.slice, ast.Tuple):
        return node.slice.elts[dimension] if dimension < len(node.slice.elts) else None
    return None if dimension else node.slice


def _looked_up(
    level: Level,
    key: ast.expr | None,
    lookup: Place,
    item: int | None,
    reader: Reader,
    values: Mapping[str, Value],
) -> int | None:
    """The number that was looked up: a local name's value, or one of the first elements of a list."""
    if isinstance(key, ast.Name):
        return _number(level.frame.values.get(key.id))
    node = lookup.node
    if isinstance(node, ast.Subscript) and item is not None:
        known = known_value(ast.unparse(node.value), reader.owner, values)
        if known is not None and not known.keys and 0 <= item < len(known.items):
            return _number(known.items[item])
    return None


def _attributes(level: Level) -> Mapping[str, Value]:
    own = level.frame.values.get((parameters(level.function) or ["self"])[0])
    return own.attributes if own is not None else {}


def _number(value: Value | None) -> int | None:
    if value is None or isinstance(value.constant, bool):
        return None
    return value.constant if isinstance(value.constant, int) else None


def _evaluated(
    index: Index, item: int | None, reader: Reader, values: Mapping[str, Value]
) -> int | None:
    """The index itself, for containers whose message doesn't say it."""
    if item is None or index.lookup is not None or index.extents:
        return None
    total = demand(index, reader.owner, values)
    factor = amount(index.scale, reader.owner, values)
    return None if total is None or factor is None else factor * item + total


def amount(code: str, owner: str, values: Mapping[str, Value]) -> int | None:
    """The integer that `12`, `self.k` or `len(self.x)` stands for."""
    if code.isdigit():
        return int(code)
    if code.startswith("len(") and code.endswith(")"):
        known = known_value(code[4:-1], owner, values)
        return known.length if known else None
    return _number(known_value(code, owner, values))


def demand(index: Index, owner: str, values: Mapping[str, Value]) -> int | None:
    """How far above scale × item the index reaches at most."""
    total = index.offset
    for code, less in [(t, 0) for t in index.terms] + [(e, 1) for e in index.extents]:
        number = amount(code, owner, values)
        if number is None:
            return None
        total += number - less
    return total
