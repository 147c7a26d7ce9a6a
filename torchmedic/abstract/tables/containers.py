"""Methods of lists, dicts and strings."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from torchmedic.abstract.expressions import is_soft
from torchmedic.abstract.growth import changed
from torchmedic.abstract.machine import integer
from torchmedic.abstract.registry import constructor, method
from torchmedic.abstract.values import (
    Arguments,
    Const,
    Dict,
    Object,
    Sequence,
    Unknown,
    Value,
)

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine


from torchmedic.abstract.tables.iteration import UNROLLED, item


def _as_sequence(thing: object) -> Sequence:
    assert isinstance(thing, Sequence)
    return thing


@method("list", "append", "add")
@method("set", "add")
def _append(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    held: Sequence = _as_sequence(thing)
    value = arguments.get(0) or Unknown()
    from torchmedic.abstract.tables.events import appended

    value = appended(machine, held, value)
    changed(machine, held, is_append=True)
    counted = any(loop.iteration >= 0 for loop in machine.loops)
    if held.is_exact and not counted and len(held.items) < UNROLLED * 4:
        machine.set(held, "items", (*held.items, value))
        return Const(None)
    parts = [*held.items, *([held.rest] if held.rest else []), value]
    machine.set(held, "rest", machine.either(parts))
    machine.set(held, "length", None)
    machine.set(held, "items", ())
    return Const(None)


@method("list", "extend", "update", "insert")
def _extend(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    held: Sequence = _as_sequence(thing)
    value = arguments.args[-1] if arguments.args else Unknown()
    is_insert = len(arguments.args) == 2
    added = Sequence("list", (value,)) if is_insert else value
    changed(machine, held, is_append=False)
    owners = held.owners | getattr(value, "owners", frozenset())
    if isinstance(added, Sequence) and added.is_exact and held.is_exact:
        at = arguments.args[0] if is_insert else None
        index = at.value if isinstance(at, Const) and type(at.value) is int else len(held.items)
        machine.set(held, "items", (*held.items[:index], *added.items, *held.items[index:]))
    else:
        found, _ = machine.iterate(added)
        parts = [*held.items, *([held.rest] if held.rest else []), *found]
        machine.set(held, "rest", machine.either(parts) if parts else Unknown())
        machine.set(held, "length", None)
        machine.set(held, "items", ())
    machine.set(held, "owners", owners)
    machine.set(held, "is_part", held.is_part or getattr(added, "is_part", False))
    return Const(None)


@method("list", "remove", "discard", "difference_update", "intersection_update")
@method("set", "remove", "discard", "difference_update", "intersection_update", "update", "pop")
def _remove(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    machine.blurred(thing)
    return Unknown(False)


@method("list", "pop")
def _pop(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    held: Sequence = _as_sequence(thing)
    changed(machine, held, is_append=False)
    machine.set(held, "is_part", True)
    place = integer(arguments.args[0]) if arguments.args else -1
    count = len(held.items) if held.is_exact and not machine.loops else 0
    if place is not None and -count <= place < count:
        taken, kept = held.items[place], list(held.items)
        del kept[place]
        machine.set(held, "items", tuple(kept))
        return taken
    parts = [*held.items, *([held.rest] if held.rest else [])]
    rest = machine.either(parts) if parts else Unknown()
    machine.set(held, "rest", rest)
    machine.set(held, "items", ())
    machine.set(held, "length", None)
    return rest


@method("list", "clear")
def _clear(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    changed(machine, _as_sequence(thing), is_append=False)
    machine.set(thing, "items", ())
    machine.set(thing, "rest", None)
    return Const(None)


@method("list", "copy")
def _copy(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    held: Sequence = _as_sequence(thing)
    return Sequence(held.kind, held.items, held.rest, held.length, held.owners)


def _as_dict(thing: object) -> Dict:
    assert isinstance(thing, Dict)
    return thing


@method("dict", "items", "keys", "values")
def _entries(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    held = _as_dict(thing)
    called = arguments.node.func if isinstance(arguments.node, ast.Call) else None
    name = called.attr if isinstance(called, ast.Attribute) else "items"
    pairs = [(Const(k), v) for k, v in held.items.items()]
    rest = held.rest
    if name == "keys":
        return (
            Sequence("list", tuple(k for k, _ in pairs))
            if rest is None
            else Sequence("list", rest=Unknown())
        )
    if name == "values":
        if rest is None:
            return Sequence("list", tuple(v for _, v in pairs))
        return Sequence("list", rest=machine.either([*(v for _, v in pairs), rest]))
    if rest is None:
        return Sequence("list", tuple(Sequence("tuple", pair) for pair in pairs))
    any_value = machine.either([*(v for _, v in pairs), rest])
    return Sequence("list", rest=Sequence("tuple", (Unknown(), any_value)))


@method("dict", "get", "pop", "setdefault")
def _get(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    held = _as_dict(thing)
    key, default = arguments.get(0) or Unknown(), arguments.get(1) or Const(None)
    if isinstance(key, Const) and held.rest is None:
        try:
            return held.items.get(key.value, default)
        except TypeError:
            return Unknown()
    return machine.either([item(machine, held, key), default])


@method("dict", "update")
def _update(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    held = _as_dict(thing)
    given = arguments.get(0)
    added = dict(arguments.keywords)
    rest = held.rest
    if isinstance(given, Dict):
        added = {**given.items, **added}
        rest = rest or given.rest
    elif given is not None:
        rest = rest or Unknown()
    machine.set(held, "items", {**held.items, **added})
    machine.set(held, "rest", rest)
    return Const(None)


@method("str", "format", "join", "lower", "upper", "split", "strip", "replace", "startswith", "endswith",
        "encode", "ljust", "rjust", "zfill", "title")  # fmt: skip
def _text(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    called = arguments.node.func if isinstance(arguments.node, ast.Call) else None
    name = called.attr if isinstance(called, ast.Attribute) else ""
    plain = thing.value if isinstance(thing, Const) else None
    given = [v.value for v in arguments.args if isinstance(v, Const)]
    if (
        name in ("lower", "upper", "startswith", "endswith", "strip", "split")
        and isinstance(plain, str)
        and len(given) == len(arguments.args)
    ):
        try:
            result = getattr(plain, name)(*given)
        except Exception:
            return Unknown(False)
        if isinstance(result, list):
            return Sequence("list", tuple(Const(part) for part in result))
        return Const(result, is_soft(thing, *arguments.args))
    return Unknown(False, hint="list" if name == "split" else "str")


constructor("", "builtins.object", "builtins.Exception")
