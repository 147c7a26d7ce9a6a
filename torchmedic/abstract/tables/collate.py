"""Samples put together to a batch. Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.default_collate"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchmedic.abstract.registry import function
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.values import (
    Arguments,
    Choice,
    Const,
    Dict,
    Number,
    Sequence,
    Tensor,
    Unknown,
    Value,
)

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

_DTYPES = {bool: "bool", int: "int64", float: "float64"}
_UNABLE = (
    "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {}"
)


def collated(machine: Machine, item: Value, size: Size) -> Value:
    """`size` samples like this one, by the default collate: tensors are stacked, numbers become int64 or float64."""
    if isinstance(item, Tensor):
        shape = (size, *item.shape) if item.shape is not None else None
        graph = item.graph if item.library == "torch" else False
        device = item.device if item.library == "torch" else machine.modes["device"]
        return Tensor(graph, shape=shape, dtype=item.dtype, device=device, made=item.made)
    if isinstance(item, Const):
        kind = type(item.value)
        if kind in _DTYPES:
            return _numbers_of(machine, size, _DTYPES[kind])
        if item.value is None:
            machine.fail("TypeError", _UNABLE.format("<class 'NoneType'>"))
            return Unknown(False)
        return Sequence("list", rest=item, length=size)
    if isinstance(item, Number):
        return _numbers_of(machine, size, "int64")
    if isinstance(item, Sequence) and item.is_exact:
        return Sequence("list", tuple(collated(machine, part, size) for part in item.items))
    if isinstance(item, Sequence) and item.rest is not None:
        return Sequence("list", rest=collated(machine, item.rest, size), length=item.length)
    if isinstance(item, Dict):
        rest = Unknown() if item.rest is not None else None
        return Dict({k: collated(machine, v, size) for k, v in item.items.items()}, rest)
    if isinstance(item, Choice):
        return machine.unknown(*item.values)
    if isinstance(item, Unknown) and item.hint == "str":
        return Sequence("list", rest=item, length=size)
    return machine.unknown(item)


def _numbers_of(machine: Machine, size: Size, dtype: str) -> Tensor:
    device = machine.modes["device"]
    return Tensor(False, shape=(size,), dtype=dtype, device=device, made=machine.place())


def converted(item: Value) -> Value:
    """A sample that no batch is made of (`batch_size=None`): arrays become tensors, tuples become lists."""
    if isinstance(item, Tensor) and item.library == "numpy":
        return Tensor(False, shape=item.shape, dtype=item.dtype, made=item.made)
    if isinstance(item, Sequence) and item.is_exact:
        return Sequence("list", tuple(converted(part) for part in item.items))
    if isinstance(item, Dict):
        return Dict({k: converted(v) for k, v in item.items.items()}, item.rest)
    return item


@function("torch.utils.data.default_collate", "torch.utils.data._utils.collate.default_collate")
def _default_collate(machine: Machine, arguments: Arguments) -> Value:
    given = arguments.get(0, "batch")
    if isinstance(given, Sequence) and given.size is not None:
        item = given.rest if given.rest is not None else machine.either(list(given.items))
        return collated(machine, item or Unknown(), given.size)
    return machine.unknown(*arguments.all())


def unequal(items: list[Value]) -> tuple[list[int], int, list[int]] | None:
    """(sizes of entry 0, number of the first entry that differs, its sizes) if these certainly can't be stacked."""
    first = items[0] if items else None
    if isinstance(first, Tensor):
        shapes = [_numbers(item) for item in items]
        for index, shape in enumerate(shapes):
            if shape is None or shapes[0] is None:
                return None
            if shape != shapes[0]:
                return shapes[0], index, shape
        return None
    if isinstance(first, Sequence):
        same = [i for i in items if isinstance(i, Sequence) and i.is_exact]
        if len(same) == len(items) and len({len(i.items) for i in same}) == 1:
            columns = zip(*(i.items for i in same), strict=True)
            return next((u for column in columns if (u := unequal(list(column)))), None)
    return None


def _numbers(item: Value) -> list[int] | None:
    if not isinstance(item, Tensor) or item.shape is None:
        return None
    sizes = [size.constant for size in item.shape]
    return None if None in sizes else [s for s in sizes if s is not None]


def stack_refused(machine: Machine, items: list[Value]) -> None:
    """What the default collate raises for these samples of one batch, if it certainly does."""
    found = unequal(items)
    if found is not None:
        first, index, other = found
        machine.fail(
            "RuntimeError",
            f"stack expects each tensor to be equal size, but got {first} at entry 0 and {other} at entry {index}",
        )
