"""Python's operators on tensors and arrays."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from torchmedic.abstract.describe import describe
from torchmedic.abstract.operators import is_real
from torchmedic.abstract.registry import TENSOR_METHODS
from torchmedic.abstract.tables.broadcasting import broadcast
from torchmedic.abstract.tables.dtypes import category, of_operands
from torchmedic.abstract.tables.loss_checks import column
from torchmedic.abstract.tables.operation import (
    Call,
    Refused,
    Shape,
    Signature,
    Untold,
    unknown_tensor,
)
from torchmedic.abstract.tables.pointwise import arithmetic, combined
from torchmedic.abstract.values import Arguments, Const, Number, Tensor, Value

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine
    from torchmedic.observed.trace import Kind

NAMES: dict[type, str] = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.FloorDiv: "floor_divide", ast.Mod: "remainder",
    ast.Pow: "pow", ast.BitAnd: "bitwise_and", ast.BitOr: "bitwise_or", ast.BitXor: "bitwise_xor", ast.LShift: "shift",
    ast.RShift: "shift",
}  # fmt: skip
_PAIR = {name: Signature("input, other", name, "") for name in (*NAMES.values(), "compare")}
_NOWHERE = ast.Constant(None)


def unary(machine: Machine, op: ast.unaryop, value: Tensor) -> Value:
    """`-tensor`, `~tensor`, `+tensor`."""
    if isinstance(op, ast.UAdd):
        return value
    if value.library != "torch":
        dtype = value.dtype if value.library else ""
        return machine.derived(value, shape=value.shape, dtype=dtype, library=value.library)
    inverted = isinstance(op, ast.Invert)
    if inverted and value.dtype and category(value.dtype) > 1:
        machine.fail(
            "TypeError",
            "~ (operator.invert) is only implemented on integer and Boolean-type tensors",
        )
    return TENSOR_METHODS["bitwise_not" if inverted else "neg"](
        machine, value, Arguments(_NOWHERE, [], {})
    )


def _pair(machine: Machine, name: str, left: Value, right: Value) -> Call:
    return Call(machine, Arguments(_NOWHERE, [left, right], {}), _PAIR[name])


def binary(machine: Machine, op: ast.operator, left: Value, right: Value) -> Value:
    """`left op right` where one is a tensor."""
    if isinstance(op, ast.MatMult):
        from torchmedic.abstract.tables.matrix import matmul

        return matmul(machine, left, right)
    one = left if isinstance(left, Tensor) else right
    assert isinstance(one, Tensor)
    call = _pair(machine, NAMES[type(op)], left, right)
    try:
        if _is_numpy(left, right):
            return _of_arrays(call, op, left, right)
        if isinstance(op, ast.Sub) and column(left, right):
            _emit_difference(machine, left, right)
        result = arithmetic(call, call.name, left, right)
    except (Untold, Refused):
        return unknown_tensor(machine, [left, right])
    return result


def _is_numpy(*values: Value) -> bool:
    tensors = [v for v in values if isinstance(v, Tensor)]
    return bool(tensors) and all(t.library == "numpy" for t in tensors)


def _of_arrays(call: Call, op: ast.operator, left: Value, right: Value) -> Value:
    dtype = of_operands(call.machine, left, right)
    if dtype and category(dtype) < 2 and isinstance(op, ast.Div):
        dtype = "float64"
    if dtype == "bool" and isinstance(op, (ast.FloorDiv, ast.Mod, ast.Pow)):
        dtype = ""
    operands = (left, right)
    return call.made(_array_shape(call, *operands), dtype, *operands, is_contiguous=None)


def _array_shape(call: Call, left: Value, right: Value) -> Shape | None:
    shapes = []
    for value in (left, right):
        if isinstance(value, Tensor):
            shapes.append(value.shape)
        elif isinstance(value, (Const, Number)) or is_real(value):
            shapes.append(())
        else:
            raise Untold
    shape, clash = broadcast(*shapes)
    if clash is not None:
        told = [",".join(str(s.constant) for s in shape or ()) for shape in shapes]
        if all("None" not in t for t in told):
            sides = " ".join(f"({t}{',' if ',' not in t else ''})" for t in told)
            call.refuse(
                "ValueError", f"operands could not be broadcast together with shapes {sides} "
            )
    return shape


def _emit(machine: Machine, kind: Kind, left: Tensor, right: Tensor) -> None:
    machine.emit(
        kind,
        left=describe(left),
        right=describe(right),
        column={"input": "left", "target": "right"}.get(column(left, right), ""),
        from_model=(bool(left.calls), bool(right.calls)),
        calls=left.calls | right.calls,
    )


def _emit_difference(machine: Machine, left: Value, right: Value) -> None:
    if (
        isinstance(left, Tensor)
        and isinstance(right, Tensor)
        and bool(left.calls) != bool(right.calls)
    ):
        _emit(machine, "subtract", left, right)


def compared(machine: Machine, left: Value, right: Value) -> Value:
    """`==`, `<`, … where one is a tensor: a tensor of bool."""
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        _emit(machine, "compare", left, right)
    call = _pair(machine, "compare", left, right)
    try:
        if _is_numpy(left, right):
            shape = _array_shape(call, left, right)
            return call.made(shape, "bool", left, right, is_contiguous=None)
        return combined(call, [left, right], "bool")
    except (Untold, Refused):
        return unknown_tensor(machine, [left, right], "bool")
