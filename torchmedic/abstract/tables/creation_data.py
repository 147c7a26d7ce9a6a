"""Shape and dtype of nested Python numbers, as `torch.tensor` and `np.array` read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchmedic.abstract.operators import is_real
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.tables.dtypes import default_float
from torchmedic.abstract.tables.images import IMAGE, array_shape
from torchmedic.abstract.values import Const, Number, Object, Sequence, Tensor, Value

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

Shape = tuple[Size, ...]


def shape_and_dtype(machine: Machine, value: Value, library: str) -> tuple[Shape | None, str]:
    """None and "" where they can't be told."""
    floating = "float64" if library == "numpy" else default_float(machine)
    if isinstance(value, Const):
        kinds = {bool: "bool", int: "int64", float: floating}
        if library == "numpy" and type(value.value) is str:
            return (), ""
        return (() if type(value.value) in kinds else None), kinds.get(type(value.value), "")
    if isinstance(value, Number):
        return (), "int64"
    if is_real(value):
        return (), floating
    if isinstance(value, Tensor):
        return value.shape, value.dtype
    if isinstance(value, Object) and value.type == IMAGE:
        shape = array_shape(value)
        return shape, "uint8" if shape is not None else ""
    if not isinstance(value, Sequence) or value.kind == "set":
        return None, ""
    if value.is_exact and not value.items:
        return (Size.of(0),), floating
    if not value.is_exact and value.rest is None:
        return None, ""
    parts = list(value.items) if value.is_exact else [value.rest]
    inner = [shape_and_dtype(machine, p, library) for p in parts if p is not None]
    size = value.size if value.size is not None else Size.fresh("n")
    shape = inner[0][0]
    is_same = shape is not None and all(s == shape for s, _ in inner)
    return ((size, *shape) if is_same and shape is not None else None), _common(
        [d for _, d in inner], floating
    )


def _common(dtypes: list[str], floating: str) -> str:
    kinds = set(dtypes)
    if len(kinds) == 1:
        return kinds.pop()
    if "" in kinds or not kinds <= {"int64", "bool", floating}:
        return ""
    return floating if floating in kinds else "int64"
