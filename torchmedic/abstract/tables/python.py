"""Python's own functions and containers."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from torchmedic.abstract.expressions import data_of, from_size, is_soft, size_of
from torchmedic.abstract.joins import distinct
from torchmedic.abstract.operators import cuts_of
from torchmedic.abstract.registry import function, method
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.tables.iteration import UNROLLED, length_of
from torchmedic.abstract.values import (
    Arguments,
    Class,
    Const,
    Dict,
    External,
    Iterator,
    Number,
    Object,
    Sequence,
    Super,
    Tensor,
    Unknown,
    Value,
)

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine


# --- builtins


@function("builtins.len")
def _len(machine: Machine, arguments: Arguments) -> Value:
    value = arguments.get(0)
    return length_of(machine, value) if value is not None else Unknown()


@function("builtins.range")
def _range(machine: Machine, arguments: Arguments) -> Value:
    given = arguments.args
    bounds = [size_of(v) for v in given]
    numbers = [b.constant if b is not None else None for b in bounds]
    if given and None not in numbers:
        try:
            walked = range(*numbers)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return Unknown()
        if next(iter(walked[UNROLLED:]), None) is None:  # its `len` may be too large for C
            return Sequence("tuple", tuple(Const(i) for i in walked))
    length = None
    if len(bounds) == 1:
        length = bounds[0]
    elif len(bounds) == 2 and None not in bounds:
        length = bounds[1] - bounds[0]  # type: ignore[operator]
    return Iterator(next_item=lambda: Number(Size.fresh("i")), length=length)


def once(items: Iterable[Value]) -> Sequence:
    """An iterator whose items are known."""
    made = Sequence("list", tuple(items))
    made.is_once = True
    return made


def walker(machine: Machine, value: Value) -> tuple[list[Value] | None, Iterator | None]:
    """The items if they are all known, else an iterator over it."""
    if isinstance(value, Iterator):
        return None, value
    if isinstance(value, Object) and machine.loader_of(value) is value:
        from torchmedic.abstract.tables.data import batches

        return None, batches(machine, value)
    found, is_all = machine.iterate(value)
    if is_all:
        return found, None
    length = size_of(length_of(machine, value))
    pending = list(found)
    return None, Iterator(
        next_item=lambda: pending.pop(0) if len(pending) > 1 else pending[0],
        length=length,
        over=value,
    )


@function("builtins.enumerate")
def _enumerate(machine: Machine, arguments: Arguments) -> Value:
    value = arguments.get(0, "iterable") or Unknown()
    start = arguments.get(1, "start")
    first = size_of(start) if start is not None else Size.of(0)
    known, walk = walker(machine, value)
    if known is not None and first is not None:
        return once(Sequence("tuple", (from_size(first + i), v)) for i, v in enumerate(known))
    if walk is None:
        return machine.unknown(value)

    def numbered(item: Callable[[], Value]) -> Callable[[], Value]:
        return lambda: Sequence("tuple", (Number(Size.fresh("i")), item()))

    last = numbered(walk.last_item) if walk.last_item is not None else None
    return Iterator(numbered(walk.next_item), last, walk.length, walk)


@function("builtins.zip", "itertools.zip_longest")
def _zip(machine: Machine, arguments: Arguments) -> Value:
    given = arguments.args
    if not arguments.is_complete and len(given) == 1 and isinstance(given[0], Sequence):
        row = given[0].rest  # zip(*rows): the columns
        if isinstance(row, Sequence) and row.is_exact:
            return Sequence(
                "list", tuple(Sequence("tuple", rest=v, length=given[0].size) for v in row.items)
            )
    owners: list[frozenset[int]] = [getattr(v, "owners", frozenset()) for v in given]
    if len(owners) == 2 and owners[0] and owners[0] == owners[1]:
        machine.emit("pair", node=arguments.node)
    walked = [walker(machine, v) for v in given]
    if walked and all(known is not None for known, _ in walked):
        columns = [known for known, _ in walked if known is not None]
        return once(Sequence("tuple", row) for row in zip(*columns, strict=False))

    def next_item() -> Value:
        row = [w.next_item() if w else machine.either(list(k or [Unknown()])) for k, w in walked]
        return Sequence("tuple", tuple(row))

    over = next((w for _, w in walked if w is not None and machine.loader_of(w)), None)
    sizes = {
        Size.of(len(k)) if k is not None else w.length if w is not None else None for k, w in walked
    }
    called = machine.name_of(arguments.node)
    length = sizes.pop() if len(sizes) == 1 and called == "zip" else None
    return Iterator(next_item=next_item, length=length, over=over)


@function("builtins.list", "builtins.tuple", "builtins.set", "builtins.frozenset")
def _collect(machine: Machine, arguments: Arguments) -> Value:
    called = machine.name_of(arguments.node)
    kind = "tuple" if called == "tuple" else "set" if called in ("set", "frozenset") else "list"
    if not arguments.args:
        return Sequence(kind)
    value = arguments.args[0]
    owners: frozenset[int] = getattr(value, "owners", frozenset())
    known, walk = walker(machine, value)
    if known is not None:
        whole = Sequence(kind, tuple(known), owners=owners)
    elif walk is None:
        return machine.unknown(value)
    else:
        whole = Sequence(kind, rest=walk.next_item(), length=walk.length, owners=owners)
    whole.is_part = getattr(value, "is_part", False)
    return distinct(whole) if kind == "set" else whole


@function(
    "builtins.dict", "collections.OrderedDict", "collections.defaultdict", "collections.Counter"
)
def _dict(machine: Machine, arguments: Arguments) -> Value:
    found: dict[Any, Value] = dict(arguments.keywords)
    rest = None
    value = arguments.get(0)
    if isinstance(value, Dict):
        found = {**value.items, **found}
        rest = value.rest
    elif isinstance(value, Sequence) and value.is_exact:
        for pair in value.items:
            if (
                isinstance(pair, Sequence)
                and len(pair.items) == 2
                and isinstance(pair.items[0], Const)
            ):
                found[pair.items[0].value] = pair.items[1]
            else:
                rest = Unknown()
    elif value is not None:
        rest = Unknown()
    return Dict(found, rest)


def _numeric(kind: type) -> Any:
    def convert(machine: Machine, arguments: Arguments) -> Value:
        value = arguments.get(0)
        if isinstance(value, Const):
            try:
                return Const(kind(value.value), value.soft)
            except Exception:
                return Unknown(False)
        if isinstance(value, Number):
            if kind is float:
                return Unknown(False, hint="builtins.float", soft=value.soft)
            return value if kind is int else Unknown(False, soft=value.soft)
        if isinstance(value, Tensor) and kind is not bool:
            from torchmedic.abstract.tables.events import converted

            converted(machine, value, kind.__name__)
        cuts = cuts_of(data_of(value)) | machine.cut(kind.__name__, value) if value else 0
        hint = "builtins.float" if kind is float else ""
        return Unknown(False, hint=hint, soft=is_soft(value) if value else False, cuts=cuts)

    return convert


for _kind in (int, float, bool, str):
    function(f"builtins.{_kind.__name__}")(_numeric(_kind))


@function("builtins.abs", "builtins.round", "builtins.max", "builtins.min", "builtins.sum", "builtins.pow",
          "math.floor", "math.ceil", "math.prod", "builtins.divmod")  # fmt: skip
def _arithmetic(machine: Machine, arguments: Arguments) -> Value:
    import math

    name = arguments.node
    called = ast.unparse(name.func).rpartition(".")[2] if isinstance(name, ast.Call) else ""
    values = arguments.args
    if "key" in arguments.keywords:
        candidates = machine.iterate(values[0])[0] if len(values) == 1 else values
        return machine.either(list(candidates)) if candidates else machine.unknown(*values)
    if len(values) == 1 and isinstance(values[0], Sequence) and values[0].is_exact:
        inner = list(values[0].items)
        if values[0].is_once:
            machine.blurred(values[0])
        spread = called in ("max", "min", "sum", "prod")
    else:
        inner, spread = list(values), False
    if (
        called == "sum"
        and len(values) == 1
        and inner
        and not all(isinstance(v, Const) for v in inner)
    ):
        total: Value = Const(0)
        for part in inner if spread else machine.iterate(values[0])[0]:
            total = machine.binary(ast.Add(), total, part)
        return total
    work: Any = getattr(math, called, None) or {"abs": abs, "round": round, "max": max, "min": min,
                                           "sum": sum, "pow": pow}.get(called)  # fmt: skip
    if work and inner and all(isinstance(v, Const) for v in inner):
        plain = [v.value for v in inner if isinstance(v, Const)]
        try:
            return Const(work(plain) if spread else work(*plain), is_soft(*inner))
        except Exception:
            return Unknown(False)
    sizes = [size_of(v) for v in inner]
    if called in ("abs", "round", "floor", "ceil") and len(sizes) == 1 and sizes[0] is not None:
        return values[0]
    if inner and None not in sizes:
        return Number(Size.fresh(called))
    return machine.unknown(*values)


@function("builtins.isinstance")
def _isinstance(machine: Machine, arguments: Arguments) -> Value:
    value, kind = arguments.get(0), arguments.get(1)
    if isinstance(kind, Class) and isinstance(value, Object) and value.cls is not None:
        if kind in value.cls.linear():
            return Const(True)
        return Const(False) if "?" not in value.kinds else Unknown(False)
    if isinstance(kind, External):
        told = _is_of(machine, value, kind.name)
        if told is not None:
            return Const(told)
    if isinstance(kind, Sequence) and kind.is_exact:
        all_told = [
            _is_of(machine, value, k.name) if isinstance(k, External) else None for k in kind.items
        ]
        if True in all_told:
            return Const(True)
        if all_told and None not in all_told:
            return Const(False)
    return Unknown(False)


def _is_of(machine: Machine, value: Value | None, name: str) -> bool | None:
    short = name.removeprefix("builtins.")
    if isinstance(value, Const):
        return type(value.value).__name__ == short if name.startswith("builtins.") else False
    if isinstance(value, Sequence):
        return value.kind == short if name.startswith("builtins.") else False
    if isinstance(value, Dict):
        return short == "dict" if name.startswith("builtins.") else None
    if isinstance(value, Tensor):
        if name == "torch.Tensor":
            return value.library == "torch"
        return False if name.startswith("builtins.") else None
    if isinstance(value, Object):
        if name in value.kinds:
            return True
        if name == "torch.nn.Module":
            return machine.is_module(value)
        if name.startswith("torch.nn.") and not value.cls:
            return value.type == name
        return False if name.startswith("builtins.") else None
    return None


@function("builtins.super")
def _super(machine: Machine, arguments: Arguments) -> Value:
    frame = machine.frame
    owner = frame.function.owner if frame.function else None
    first = None
    if frame.function is not None:
        names = [a.arg for a in frame.function.node.args.args]
        first = frame.local.get(names[0]) if names else None
    if arguments.args and isinstance(arguments.args[0], Class):
        owner = arguments.args[0]
        first = arguments.get(1) or first
    return Super(first if isinstance(first, Value) else Unknown(), owner)


@method("super", "super.__init__")
def _nothing(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    return Const(None)


@function("builtins.delattr")
def _delattr(machine: Machine, arguments: Arguments) -> Value:
    name = arguments.get(1)
    attribute = str(name.value) if isinstance(name, Const) else ""
    machine.blurred(arguments.get(0) or Unknown(), ast.Attribute(ast.Constant(None), attribute))
    return Const(None)


@function("builtins.print", "builtins.setattr", "builtins.input", "builtins.open", "builtins.repr",
          "builtins.hash", "builtins.id", "builtins.format", "builtins.hasattr")  # fmt: skip
def _print(machine: Machine, arguments: Arguments) -> Value:
    called = arguments.node.func if isinstance(arguments.node, ast.Call) else None
    machine.note_use(*arguments.args)
    if isinstance(called, ast.Name) and called.id == "setattr" and len(arguments.args) == 3:
        thing, name, value = arguments.args
        if isinstance(name, Const):
            machine.assign_attribute(thing, str(name.value), value)
        elif isinstance(thing, Class):
            machine.escape(thing, "setattr")
        if isinstance(thing, Object) and (thing.items or not isinstance(name, Const)):
            machine.blurred(thing)
        return Const(None)
    return Const(None) if isinstance(called, ast.Name) and called.id == "print" else Unknown(False)


@function("builtins.getattr")
def _getattr(machine: Machine, arguments: Arguments) -> Value:
    thing, name = arguments.get(0) or Unknown(), arguments.get(1)
    if isinstance(name, Const) and not name.soft and isinstance(name.value, str):
        return machine.attribute(thing, name.value)
    result = Unknown(why=getattr(thing, "name", ""))
    result.hint = f"{thing.name}." if isinstance(thing, External) else ""
    return result


@function("builtins.type")
def _type(machine: Machine, arguments: Arguments) -> Value:
    value = arguments.get(0)
    return value.cls if isinstance(value, Object) and value.cls else Unknown()


@function("builtins.map")
def _map(machine: Machine, arguments: Arguments) -> Value:
    if len(arguments.args) != 2:
        return machine.unknown(*arguments.args)
    work, over = arguments.args
    known, walk = walker(machine, over)
    if known is not None:
        return once(machine.call(work, Arguments(arguments.node, [v], {})) for v in known)
    if walk is None:
        return machine.unknown(over)
    return Iterator(
        next_item=lambda: machine.call(work, Arguments(arguments.node, [walk.next_item()], {})),
        length=walk.length,
    )
