"""`tensor[key]`. Source: https://numpy.org/doc/stable/user/basics.indexing.html"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchmedic.abstract.expressions import size_of
from torchmedic.abstract.requests import out_of_range
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.values import Const, Number, Object, Sequence, Tensor, Unknown, Value

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine


def indexed(machine: Machine, value: Tensor, key: Value) -> Value:
    """The part of a tensor or array; of unknown shape where the key can't be told."""
    keys = (
        list(key.items)
        if isinstance(key, Sequence) and key.kind == "tuple" and key.is_exact
        else [key]
    )
    shape = _shape(value.shape, keys) if value.shape is not None else None
    if shape is None or value.shape is None:
        dtype = value.dtype
    else:
        _check_bounds(machine, value, keys)
        dtype = value.dtype
    result = machine.derived(
        value,
        shape=shape,
        dtype=dtype,
        library=value.library,
        through=value.through,
        is_use=False,
    )
    result.activations = value.activations
    result.owners = value.owners
    return result


def _shape(shape: tuple[Size, ...], keys: list[Value]) -> tuple[Size, ...] | None:
    result: list[Size] = []
    rest = list(shape)
    wanted = sum(1 for k in keys if not _is_new(k) and not _is_ellipsis(k))
    for key in keys:
        if _is_new(key):
            result.append(Size.of(1))
        elif _is_ellipsis(key):
            skipped = len(rest) - (wanted - _seen(keys, key))
            result += rest[:skipped]
            rest = rest[skipped:]
        elif not rest:
            return None
        elif isinstance(key, (Const, Number)) and size_of(key) is not None:
            rest.pop(0)
        elif isinstance(key, Object) and key.type == "builtins.slice":
            result.append(_sliced(rest.pop(0), key))
        elif isinstance(key, Tensor) and key.shape is not None and len(keys) == 1:
            if key.dtype == "bool":
                return (Size.fresh("n"), *rest[len(key.shape) :])
            if not key.dtype:
                return None
            rest.pop(0)
            result += list(key.shape)
        elif isinstance(key, Sequence) and key.is_exact and len(keys) == 1:
            rest.pop(0)
            result.append(Size.of(len(key.items)))
        else:
            return None
    return (*result, *rest)


def _seen(keys: list[Value], ellipsis: Value) -> int:
    """How many dimensions the keys before the ellipsis took."""
    before = keys[: keys.index(ellipsis)]
    return sum(1 for k in before if not _is_new(k))


def _is_new(key: Value) -> bool:
    return isinstance(key, Const) and key.value is None


def _is_ellipsis(key: Value) -> bool:
    return isinstance(key, Const) and key.value is Ellipsis


def _sliced(size: Size, key: Object) -> Size:
    low, high, step = key.items
    if not (isinstance(step, Const) and step.value in (None, 1)):
        return Size.fresh("n")
    start = Size.of(0) if _is_new(low) else size_of(low)
    end = size if _is_new(high) else size_of(high)
    if start is None or end is None:
        return Size.fresh("n")
    numbers = (start.constant, end.constant, size.constant)
    if None not in numbers:
        return Size.of(len(range(*slice(numbers[0], numbers[1]).indices(numbers[2]))))  # type: ignore[arg-type]
    if start == Size.of(0) and end == size:
        return size
    if _is_new(high) and start.constant is not None and start.constant < 0:
        return Size.of(-start.constant)
    if start == Size.of(0) and end.constant is not None and end.constant < 0:
        return size + end
    if _is_new(high):
        return size - start
    return Size.fresh("n")


def _check_bounds(machine: Machine, value: Tensor, keys: list[Value]) -> None:
    """A constant index beyond a known size raises."""
    if any(_is_new(k) or _is_ellipsis(k) for k in keys) or value.shape is None:
        return
    for dimension, key in enumerate(keys):
        if dimension >= len(value.shape) or not isinstance(key, (Const, Number)):
            continue
        at, size = size_of(key), value.shape[dimension]
        if at is None:
            continue
        index, held = at.constant, size.constant
        if index is None or held is None or -held <= index < held:
            continue
        place = "axis" if value.library == "numpy" else "dimension"
        out_of_range(
            machine, f"index {index} is out of bounds for {place} {dimension} with size {held}"
        )
        return


def item_of(machine: Machine, value: Value, key: Value) -> Value:
    return indexed(machine, value, key) if isinstance(value, Tensor) else Unknown()
