"""Abstract values as the plain data that detectors read: the same as a crash probe makes of live ones."""

from __future__ import annotations

from math import prod

from torchmedic.abstract.devices import shown
from torchmedic.abstract.sizes import number
from torchmedic.abstract.values import (
    Class,
    Const,
    Dict,
    External,
    Function,
    Number,
    Object,
    Sequence,
    Tensor,
    Value,
)
from torchmedic.observed import Tensor as ObservedTensor
from torchmedic.observed import Value as ObservedValue

ITEMS = 8
_BYTES = {"float64": 8, "int64": 8, "complex64": 8, "float16": 2, "bfloat16": 2, "int16": 2}
_BYTES |= {"uint8": 1, "int8": 1, "bool": 1, "complex128": 16}


def tensor(value: Tensor) -> ObservedTensor | None:
    """None if its rank is unknown."""
    if value.shape is None:
        return None
    shape = tuple(number(size) for size in value.shape)
    return ObservedTensor(
        shape,
        value.dtype,
        device=shown(value.device),
        requires_grad=bool(value.graph),
        contiguous=value.is_contiguous is not False,
        is_leaf=value.is_leaf is not False,
        library=value.library,
        bytes=prod(int(n) for n in shape) * _BYTES.get(value.dtype, 4),
    )


def describe(value: object, depth: int = 3) -> ObservedValue:
    """As far as it is known. Unknown values have a type of "?"."""
    if isinstance(value, Const):
        plain = value.value
        kind = type(plain).__name__
        length = len(plain) if isinstance(plain, str) else None
        held = plain if isinstance(plain, (int, float, str, bool)) else None
        return ObservedValue(kind, constant=held, length=length)
    if isinstance(value, Number):
        return ObservedValue("int", constant=number(value.size))
    if isinstance(value, Tensor):
        told = tensor(value)
        kind = "ndarray" if value.library == "numpy" else value.kind
        return ObservedValue(
            kind, tensor=told, length=told.shape[0] if told and told.shape else None
        )
    if isinstance(value, Sequence) and depth:
        items = tuple(describe(item, depth - 1) for item in value.items[:ITEMS])
        length = number(value.size) if value.size is not None else None
        return ObservedValue(value.kind, length=length, items=items)
    if isinstance(value, Dict) and depth:
        pairs = list(value.items.items())[:ITEMS]
        return ObservedValue(
            "dict",
            length=len(value.items) if value.rest is None else None,
            items=tuple(describe(v, depth - 1) for _, v in pairs),
            keys=tuple(str(k) for k, _ in pairs),
        )
    if isinstance(value, Object):
        inner = {}
        if depth > 1:
            inner = {k: describe(v, depth - 2) for k, v in value.attributes.items()}
        return ObservedValue(value.type_name, attributes=inner)
    if isinstance(value, (Function, Class)):
        return ObservedValue("type" if isinstance(value, Class) else "function")
    if isinstance(value, External):
        return ObservedValue("dtype" if value.name.startswith("torch.") else "module")
    return ObservedValue("?")


def is_told(value: Value) -> bool:
    """True if its shape is known."""
    return isinstance(value, Tensor) and value.shape is not None
