"""Iterators, and what changes the order of items: `iter`, `next`, `reversed`, `sorted`, `islice`.

Source: https://docs.python.org/3/library/functions.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchmedic.abstract.expressions import size_of
from torchmedic.abstract.growth import changed
from torchmedic.abstract.machine import integer
from torchmedic.abstract.registry import function, method
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.tables.iteration import length_of
from torchmedic.abstract.tables.python import once, walker
from torchmedic.abstract.values import (
    Arguments,
    Const,
    Iterator,
    Number,
    Object,
    Sequence,
    Unknown,
    Value,
)

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine


@function("builtins.iter", "tqdm.tqdm", "tqdm.auto.tqdm", "tqdm.notebook.tqdm", "tqdm.tqdm_notebook", "tqdm.trange",
          "builtins.reversed", "rich.progress.track", "itertools.cycle", "itertools.islice")  # fmt: skip
def _walk(machine: Machine, arguments: Arguments) -> Value:
    called = machine.name_of(arguments.node).rpartition(".")[2]
    value = arguments.get(0, "iterable", "sequence") or Unknown()
    if isinstance(value, Const) and isinstance(value.value, str) and called == "iter":
        return once(machine.iterate(value)[0]) if len(value.value) < 64 else Unknown(False)
    if isinstance(value, (Const, Number)):
        return Iterator(next_item=lambda: Number(Size.fresh("i")), length=size_of(value))
    if isinstance(value, Sequence) and value.is_once and called == "iter":
        return value
    known, walk = walker(machine, value)
    if known is not None:
        if called == "reversed":
            return once(reversed(known))
        if called == "islice":
            return _sliced(machine, known, arguments)
        if called == "cycle":
            return Iterator(next_item=lambda: machine.either(known) if known else Unknown())
        result = once(known)
        result.owners = getattr(value, "owners", result.owners)
        result.is_once = called == "iter"
        return result
    if walk is None:
        return machine.unknown(value)
    last = None if called in ("islice", "cycle", "reversed") else walk.last_item
    length = None if called in ("islice", "cycle") else walk.length
    return Iterator(walk.next_item, last, length, walk)


def _sliced(machine: Machine, known: list[Value], arguments: Arguments) -> Value:
    bounds: list[int | None] = []
    for value in arguments.args[1:]:
        number = integer(value)
        if number is None and not (isinstance(value, Const) and value.value is None):
            return Iterator(next_item=lambda: machine.either(known) if known else Unknown())
        bounds.append(number)
    return once(known[slice(*bounds)]) if bounds else machine.unknown(*known)


@function("builtins.next")
def _next(machine: Machine, arguments: Arguments) -> Value:
    value = arguments.get(0) or Unknown()
    default = arguments.args[1:]
    if isinstance(value, Iterator):
        return machine.either([value.next_item(), *default])
    if not isinstance(value, Sequence):
        return machine.unknown(value, *default)
    if value.is_exact and value.items and not machine.loops and not machine.branches:
        first, *others = value.items
        machine.set(value, "items", tuple(others))
        return first
    parts = [*value.items, *([value.rest] if value.rest is not None else []), *default]
    machine.blurred(value)
    return machine.either(parts) if parts else Unknown()


@function("builtins.sorted")
def _sorted(machine: Machine, arguments: Arguments) -> Value:
    value = arguments.get(0) or Unknown()
    if isinstance(value, Sequence) and value.is_exact:
        result = _in_order(machine, list(value.items), arguments)
        result.owners = value.owners
        return result
    known, walk = walker(machine, value)
    if known is not None:
        return _in_order(machine, known, arguments)
    if walk is None:
        return machine.unknown(value)
    length = size_of(length_of(machine, value))
    return Sequence("list", rest=walk.next_item(), length=length)


def _in_order(machine: Machine, items: list[Value], arguments: Arguments) -> Sequence:
    """The items sorted, as far as they and the way to compare them are known."""
    given = arguments.keywords
    backwards = machine.truth(given["reverse"]) if "reverse" in given else False
    if len(items) < 2:
        return Sequence("list", tuple(items))
    compared = items
    if (key := given.get("key")) is not None:
        compared = [machine.call(key, Arguments(arguments.node, [v], {})) for v in items]
    plain = [_plain(v) for v in compared]
    if backwards is not None and None not in plain:
        try:
            order = sorted(range(len(items)), key=lambda i: plain[i], reverse=backwards)  # type: ignore[arg-type,return-value]
        except TypeError:
            return Sequence("list", rest=Unknown())
        return Sequence("list", tuple(items[i] for i in order))
    return Sequence("list", rest=machine.either(items), length=Size.of(len(items)))


def _plain(value: Value) -> object:
    """The constant, or the tuple of constants; None if it isn't one."""
    if isinstance(value, Const):
        return value.value
    if isinstance(value, Sequence) and value.kind == "tuple" and value.is_exact:
        parts = tuple(_plain(v) for v in value.items)
        return None if None in parts else parts
    return None


@method("list", "sort", "reverse")
def _reordered(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    held: Value = thing
    assert isinstance(held, Sequence)
    changed(machine, held, is_append=False)
    if machine.name_of(arguments.node).endswith("reverse"):
        machine.set(held, "items", held.items[::-1])
    elif held.is_exact:
        told = _in_order(machine, list(held.items), arguments)
        for name in ("items", "rest", "length"):
            machine.set(held, name, getattr(told, name))
    return Const(None)
