"""What a loop walks, what `len` and `[…]` give."""

from __future__ import annotations

import ast
from contextlib import suppress
from typing import TYPE_CHECKING

from torchmedic.abstract.expressions import from_size, size_of
from torchmedic.abstract.machine import integer
from torchmedic.abstract.registry import METHODS
from torchmedic.abstract.requests import Read, is_certain, out_of_range
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.values import (
    NOWHERE,
    Arguments,
    Choice,
    Class,
    Const,
    Dict,
    External,
    Iterator,
    Number,
    Object,
    Sequence,
    Tensor,
    Unknown,
    Value,
)

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

UNROLLED = 64


def items(machine: Machine, value: Value) -> tuple[list[Value], bool]:
    """The items that a loop walks, and whether these are all: two stand for many."""
    if isinstance(value, Sequence):
        if value.is_exact:
            found = list(value.items)
            if value.is_once:
                machine.blurred(value)
            if value.kind == "set" and len(found) > 1:
                return [machine.either(found)] * 2, False  # in whatever order
            if len(found) <= UNROLLED:
                return found, True
            return found[:2], False
        rest = value.rest or Unknown()
        return [rest, rest], False
    if isinstance(value, Iterator):
        return [value.next_item(), value.next_item()], False
    if isinstance(value, Dict):
        keys: list[Value] = [Const(k) for k in value.items]
        if value.rest is None:
            return keys[:UNROLLED], len(keys) <= UNROLLED
        return [Unknown(), Unknown()], False
    if isinstance(value, Const) and isinstance(value.value, (str, bytes)):
        text = value.value[:UNROLLED]
        return [Const(c) for c in text], len(value.value) <= UNROLLED
    if isinstance(value, Tensor) and value.shape:
        count = value.shape[0].constant
        if count is not None and count <= 8:
            return [machine.subscript(value, Const(i)) for i in range(count)], True
        return [machine.subscript(value, Number()), machine.subscript(value, Number())], False
    if isinstance(value, Object):
        return _object_items(machine, value)
    if isinstance(value, Choice):
        walks = [items(machine, v)[0] for v in value.values if not isinstance(v, Const)]
        first = [walk[0] for walk in walks if walk]
        return [machine.either(first)] * 2 if first else [machine.unknown(value)] * 2, False
    return [machine.unknown(value), machine.unknown(value)], False


def _object_items(machine: Machine, value: Object) -> tuple[list[Value], bool]:
    walk = machine.own_method(value, "__iter__")
    if walk is not None:
        return items(machine, machine.call_function(walk, _none(machine), value))
    if value.items:
        is_all = not value.state.get("is_shuffled")
        if not is_all:
            return [machine.unknown(*value.items), machine.unknown(*value.items)], False
        if value.type == "torch.nn.ModuleDict":
            return [Const(k) for k in value.keys], True
        return list(value.items), True
    for kind in value.kinds:
        if handler := METHODS.get((kind, "__iter__")):
            return items(machine, handler(machine, value, _none(machine)))
    get = machine.own_method(value, "__getitem__")
    if get is not None:
        item = machine.call_function(get, Arguments(NOWHERE, [Number()], {}), value)
        return [item, item], False
    if value.type in ("torch.nn.ModuleList", "torch.nn.Sequential") and not value.state.get(
        "is_open"
    ):
        return [], True
    return [machine.unknown(value), machine.unknown(value)], False


def _none(machine: Machine) -> Arguments:
    return Arguments(NOWHERE, [], {})


def length_of(machine: Machine, value: Value) -> Value:
    """`len(value)`."""
    if isinstance(value, Sequence):
        if value.size is None and not value.escaped:
            machine.set(value, "length", Size.fresh("len"))  # the same until the list changes
        return from_size(value.size) if value.size is not None else Number(Size.fresh("len"))
    if isinstance(value, Dict) and value.rest is None:
        return Const(len(value.items))
    if isinstance(value, Const) and isinstance(value.value, (str, bytes)):
        return Const(len(value.value))
    if isinstance(value, Tensor) and value.shape:
        return from_size(value.shape[0])
    if isinstance(value, Iterator) and value.length is not None:
        return from_size(value.length)
    if isinstance(value, Object):
        own = machine.own_method(value, "__len__")
        if own is not None:
            return machine.call_function(own, _none(machine), value)
        for kind in value.kinds:
            if handler := METHODS.get((kind, "__len__")):
                return handler(machine, value, _none(machine))
        if value.items:
            return Const(len(value.items))
    known = value.__dict__.get("known_length")
    if known is None:
        known = Number(Size.fresh("len"))
        value.__dict__["known_length"] = known
    held: Value = known
    return held


def item(machine: Machine, value: Value, key: Value) -> Value:
    """`value[key]`."""
    note_read(machine, value, key)
    if isinstance(value, Choice):
        return machine.either([item(machine, v, key) for v in value.values])
    if isinstance(value, Tensor):
        from torchmedic.abstract.tables.indexing import indexed

        return indexed(machine, value, key)
    if isinstance(value, Sequence):
        return _sequence_item(machine, value, key)
    if isinstance(value, Dict):
        if isinstance(key, Const):
            try:
                if key.value in value.items:
                    return value.items[key.value]
            except TypeError:
                return Unknown()
        everything = [*value.items.values(), *([value.rest] if value.rest else [])]
        return (
            machine.either(everything)
            if everything and not isinstance(key, Const)
            else value.rest or Unknown()
        )
    if isinstance(value, Const) and isinstance(value.value, str) and isinstance(key, Const):
        try:
            return Const(value.value[key.value])
        except Exception:
            return Unknown()
    if isinstance(value, Object):
        own = machine.own_method(value, "__getitem__")
        if own is not None:
            return machine.call_function(own, Arguments(NOWHERE, [key], {}), value)
        for kind in value.kinds:
            if handler := METHODS.get((kind, "__getitem__")):
                return handler(machine, value, Arguments(NOWHERE, [key], {}))
        return _child(machine, value, key)
    if isinstance(value, (External, Class)):
        return value  # Dataset[int], list[int]
    result = machine.unknown(value, key)
    result.hint = "" if not isinstance(value, Unknown) else result.hint
    return result


def note_read(machine: Machine, value: Value, key: Value) -> None:
    """Remembers what the code of a Dataset reads for one item."""
    node = machine.frame.node if machine.requests else None
    if not isinstance(node, ast.Subscript) or isinstance(value, (External, Class)):
        return
    asked = machine.requests[-1]
    if isinstance(key, Const) and type(key.value) is not int:
        return  # a column
    if isinstance(key, Sequence) and key.kind == "tuple" and key.items:
        key = key.items[0]
    if isinstance(key, Const) and type(key.value) is not int:
        return  # a new dimension
    if isinstance(key, Object) and all(isinstance(part, Const) for part in key.items):
        return  # the same part of every item
    size = (
        size_of(length_of(machine, value))
        if isinstance(value, (Sequence, Tensor, Unknown))
        else None
    )
    asked.reads.append(
        Read(machine.frame.source, node, value, size, size_of(key), is_certain(machine, asked))
    )


def _child(machine: Machine, value: Object, key: Value) -> Value:
    if value.state.get("is_shuffled"):
        return machine.unknown(*value.items)
    if isinstance(key, Const) and value.items:
        if type(key.value) is int and -len(value.items) <= key.value < len(value.items):
            return value.items[key.value]
        if key.value in value.keys:
            return value.items[value.keys.index(key.value)]
    if value.items and isinstance(key, (Number, Unknown)):
        return machine.either(list(value.items))
    return machine.unknown(value, key)


def _sequence_item(machine: Machine, value: Sequence, key: Value) -> Value:
    first = value.__dict__.get("known_first")
    if first is not None and isinstance(key, Const) and type(key.value) is int and key.value == 0:
        known: Value = first
        return known
    if isinstance(key, Const) and type(key.value) is int and value.is_exact:
        if -len(value.items) <= key.value < len(value.items):
            return value.items[key.value]
        _out_of_range(machine, value)
        return Unknown()
    if isinstance(key, Object) and key.type == "builtins.slice":
        return _sliced(value, key)
    index, size = integer(key), value.size.constant if value.size is not None else None
    if index is not None and size is not None and not -size <= index < size:
        _out_of_range(machine, value)
        return Unknown()
    parts = [*value.items, *([value.rest] if value.rest else [])]
    return machine.either(parts) if parts else Unknown()


def _out_of_range(machine: Machine, value: Sequence) -> None:
    """Told only of what a Dataset reads for a loader: elsewhere a list may be longer by then."""
    if machine.requests and not value.escaped and value.kind in ("list", "tuple"):
        out_of_range(machine, f"{value.kind} index out of range")


def _sliced(value: Sequence, key: Object) -> Value:
    result = _slice_of(value, key)
    if isinstance(result, Sequence):
        result.is_part = True
    return result


def _slice_of(value: Sequence, key: Object) -> Value:
    if value.is_exact and all(isinstance(p, Const) for p in key.items):
        low, high, step = (p.value for p in key.items if isinstance(p, Const))
        try:
            return Sequence(value.kind, value.items[low:high:step], owners=value.owners)
        except (TypeError, ValueError):
            return Unknown()
    if value.is_exact:
        from torchmedic.abstract.joins import join_values

        rest = join_values(value.items) if value.items else Unknown()
        return Sequence(value.kind, rest=rest, owners=value.owners)
    length = None
    size = value.size.constant if value.size is not None and not value.escaped else None
    if size is not None and all(isinstance(part, Const) for part in key.items):
        bounds = slice(*(part.value for part in key.items if isinstance(part, Const)))
        with suppress(TypeError, ValueError):
            length = Size.of(len(range(*bounds.indices(size))))
    return Sequence(value.kind, rest=value.rest, length=length, owners=value.owners)


def _is_none(value: Value) -> bool:
    return isinstance(value, Const) and value.value is None
