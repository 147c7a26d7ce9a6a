"""Operators on tensors: broadcasting and type promotion.

Sources: https://docs.pytorch.org/docs/stable/notes/broadcasting.html and
https://docs.pytorch.org/docs/stable/tensor_attributes.html#type-promotion-doc
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from torchmedic.abstract.describe import describe
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.tables.losses import column
from torchmedic.abstract.values import Const, Number, Tensor, Unknown, Value

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

Shape = tuple[Size, ...]
_ORDER = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64",
          "complex64", "complex128")  # fmt: skip
FLOATS = ("float16", "bfloat16", "float32", "float64", "complex64", "complex128")


def category(dtype: str) -> int:
    """0 bool, 1 integer, 2 floating, 3 complex."""
    return (
        0 if dtype == "bool" else 3 if dtype.startswith("complex") else 2 if dtype in FLOATS else 1
    )


def promoted(left: str, right: str) -> str:
    """The dtype of an operation on two tensors with dimensions; "" if one is unknown."""
    if not left or not right:
        return ""
    if left == right:
        return left
    if {left, right} == {"float16", "bfloat16"}:
        return "float32"
    if {left, right} == {"uint8", "int8"}:
        return "int16"
    if category(left) != category(right):
        high, low = (left, right) if category(left) > category(right) else (right, left)
        return "complex128" if high == "complex64" and low == "float64" else high
    return max(left, right, key=_ORDER.index)


def with_number(dtype: str, number: Value, library: str = "torch") -> str:
    """The dtype of an operation of a tensor and a Python number."""
    if isinstance(number, Const) and dtype:
        kind = type(number.value)
        if kind is float and category(dtype) < 2:
            return "float64" if library == "numpy" else "float32"
        if kind is int and dtype == "bool":
            return "int64"
        return dtype
    if isinstance(number, Number):
        return "int64" if dtype == "bool" else dtype
    return dtype if category(dtype) >= 2 and dtype else ""


def broadcast(left: Shape | None, right: Shape | None) -> tuple[Shape | None, int | None]:
    """(the common shape, the dimension from the right that certainly doesn't fit)."""
    if left is None or right is None:
        return None, None
    result: list[Size] = []
    for index in range(max(len(left), len(right))):
        a = left[-1 - index] if index < len(left) else Size.of(1)
        b = right[-1 - index] if index < len(right) else Size.of(1)
        if a == b or b.constant == 1:
            result.append(a)
        elif a.constant == 1:
            result.append(b)
        elif a.constant is not None and b.constant is not None:
            return None, index
        elif a.constant is not None or b.constant is not None:
            result.append(a if a.constant is not None else b)
        else:
            result.append(Size.fresh("n"))
    return tuple(reversed(result)), None


def binary(machine: Machine, op: ast.operator, left: Value, right: Value) -> Value:
    """`left op right` where one is a tensor."""
    if isinstance(op, ast.MatMult):
        from torchmedic.abstract.tables.matrix import matmul

        return matmul(machine, left, right)
    one = left if isinstance(left, Tensor) else right
    assert isinstance(one, Tensor)
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        shape, clash = broadcast(left.shape, right.shape)
        if clash is not None and {left.library, right.library} == {"torch"}:
            told_clash(machine, left, right, clash)
        scalar = _scalar_operand(left, right)
        is_told = left.shape is not None and right.shape is not None
        dtype = _with_scalar(*scalar) if scalar else promoted(left.dtype, right.dtype)
        if not is_told and left.dtype != right.dtype:
            dtype = ""  # one without dimensions would count less
        library = "torch" if "torch" in (left.library, right.library) else one.library
    else:
        other = right if one is left else left
        if not isinstance(other, (Const, Number)):
            result = machine.unknown(left, right)
            return (
                machine.derived(left, right, library=one.library)
                if isinstance(other, Unknown)
                else result
            )
        shape, library = one.shape, one.library
        dtype = with_number(one.dtype, other, library)
    if isinstance(op, ast.Div) and dtype and category(dtype) < 2:
        dtype = "float64" if library == "numpy" else "float32"
    return machine.derived(left, right, shape=shape, dtype=dtype, library=library)


def _scalar_operand(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor] | None:
    """(tensor with dimensions, tensor without) if just one has none: that one decides only by its category."""
    if left.shape is None or right.shape is None or left.library != "torch":
        return None
    if bool(left.shape) == bool(right.shape):
        return None
    return (left, right) if left.shape else (right, left)


def _with_scalar(full: Tensor, scalar: Tensor) -> str:
    if not full.dtype or not scalar.dtype:
        return ""
    if category(scalar.dtype) <= category(full.dtype):
        return full.dtype
    return "float32" if category(scalar.dtype) == 2 and scalar.dtype == "float64" else scalar.dtype


def told_clash(machine: Machine, left: Tensor, right: Tensor, index: int) -> None:
    assert left.shape is not None and right.shape is not None
    size = max(len(left.shape), len(right.shape))
    a, b = left.shape[-1 - index], right.shape[-1 - index]
    machine.fail(
        "RuntimeError",
        f"The size of tensor a ({a.constant}) must match the size of tensor b ({b.constant}) at non-singleton "
        f"dimension {size - 1 - index}",
    )


def compared(machine: Machine, left: Value, right: Value) -> Value:
    """`==`, `<`, … where one is a tensor: a tensor of bool."""
    one = left if isinstance(left, Tensor) else right
    assert isinstance(one, Tensor)
    shape = one.shape
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        shape, _ = broadcast(left.shape, right.shape)
        machine.emit(
            "compare",
            left=describe(left),
            right=describe(right),
            column={"input": "left", "target": "right"}.get(column(left, right), ""),
            from_model=(bool(left.calls), bool(right.calls)),
        )
    elif not isinstance(left, (Const, Number, Tensor)) or not isinstance(
        right, (Const, Number, Tensor)
    ):
        shape = None
    return machine.derived(left, right, shape=shape, dtype="bool", library=one.library)
