"""Python values as plain data, without calling the user's code: no property, no `__getattr__`, no `__len__`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from math import prod
from types import ModuleType
from typing import Any

from torchmedic.observed import Tensor, Value

ITEMS = 8
ATTRIBUTES = 40
TEXT = 200


def torch_if_loaded() -> Any:
    """The `torch` module if the program imported it wholly, else None."""
    module = sys.modules.get("torch")
    return module if hasattr(module, "Tensor") and hasattr(module, "nn") else None


def describe(value: object, depth: int = 2) -> Value:
    """The value as data: tensors by shape and dtype, containers by their first items, objects by their type."""
    if value is None or isinstance(value, (bool, int, float)):
        return Value(type(value).__name__, constant=_plain(value))
    if isinstance(value, str):
        return Value("str", constant=value[:TEXT], length=len(value))
    tensor = tensor_of(value)
    if tensor is not None:
        length = tensor.shape[0] if tensor.shape else None
        return Value(type(value).__qualname__, tensor=tensor, length=length)
    kind = type(value)
    base: Any
    for base in (list, tuple):
        if isinstance(value, base):
            first = base.__getitem__(value, slice(ITEMS)) if depth else ()
            items = tuple(describe(v, depth - 1) for v in first)
            return Value(kind.__qualname__, length=base.__len__(value), items=items)
    for base in (set, frozenset):
        if isinstance(value, base):
            return Value(kind.__qualname__, length=base.__len__(value))
    if isinstance(value, dict):
        pairs = list(dict.items(value))[:ITEMS]
        return Value(
            kind.__qualname__,
            length=dict.__len__(value),
            items=tuple(describe(v, depth - 1) for _, v in pairs) if depth else (),
            keys=tuple(k if isinstance(k, str) else repr_of(k) for k, _ in pairs),
        )
    return Value(kind.__qualname__, length=_length(value))


def _plain(value: object) -> int | float | str | bool | None:
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    return float(value) if isinstance(value, float) else None


def repr_of(value: object) -> str:
    return (
        repr(value)[:TEXT]
        if isinstance(value, (int, float, bool, bytes, tuple))
        else type(value).__name__
    )


def _length(value: object) -> int | None:
    """Lengths of well-known library containers only: a user's `__len__` is not called."""
    root = type(value).__module__.partition(".")[0]
    if root in {
        "builtins",
        "collections",
        "array",
        "pandas",
        "numpy",
        "range",
        "torch",
        "datasets",
    }:
        try:
            return len(value)  # type: ignore[arg-type]
        except Exception:
            return None
    return None


def tensor_of(value: object) -> Tensor | None:
    """Facts of a torch tensor or a NumPy array; None for anything else. Reads no element."""
    torch = torch_if_loaded()
    if torch is not None and isinstance(value, torch.Tensor):
        return _torch_tensor(torch, value)
    numpy = sys.modules.get("numpy")
    ndarray = getattr(numpy, "ndarray", None)
    if ndarray is not None and isinstance(value, ndarray):
        return Tensor(
            tuple(value.shape),
            str(value.dtype),
            contiguous=bool(value.flags.c_contiguous),
            library="numpy",
            bytes=int(value.nbytes),
        )
    return None


def _torch_tensor(torch: Any, value: Any) -> Tensor:
    node = value.grad_fn if value.requires_grad else None
    strided = value.layout == torch.strided
    shape = tuple(_size(n) for n in value.shape)
    return Tensor(
        shape,
        str(value.dtype).removeprefix("torch."),
        device=str(value.device),
        requires_grad=bool(value.requires_grad),
        contiguous=bool(strided and value.is_contiguous()),
        layout=str(value.layout).removeprefix("torch."),
        is_leaf=bool(value.is_leaf),
        grad_fn=node.name() if node is not None else None,
        bytes=value.element_size() * prod(shape) if strided else 0,
    )


def _size(n: Any) -> int:
    try:
        return int(n)
    except Exception:  # a symbolic size that has no value
        return -1


def plain_attributes(value: object) -> dict[str, Any]:
    """What an object holds in itself: its `__dict__`, and a module's parameters, buffers and children."""
    try:
        own = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    found = dict(own) if isinstance(own, Mapping) else {}
    for name in ("_parameters", "_buffers", "_modules"):
        inner = found.get(name)
        if isinstance(inner, dict):
            found.update({k: v for k, v in inner.items() if isinstance(k, str)})
    return found


def lookup(names: Mapping[str, Any], dotted: str) -> tuple[bool, Any]:
    """(True, value) of `a.b.c` by plain attributes only; (False, None) where that can't be told."""
    head, *rest = dotted.split(".")
    if head not in names:
        return False, None
    value = names[head]
    for part in rest:
        held = vars(value) if isinstance(value, ModuleType) else plain_attributes(value)
        if part not in held:
            return False, None
        value = held[part]
    return True, value


def with_attributes(value: object) -> Value:
    """`describe`, and one level of the object's own plain attributes."""
    base = describe(value)
    held = plain_attributes(value)
    chosen = [(k, v) for k, v in held.items() if not k.startswith("_")][:ATTRIBUTES]
    attributes = {k: describe(v, 1) for k, v in chosen}
    return Value(
        base.type, base.tensor, base.constant, base.length, base.items, base.keys, attributes
    )
