"""What changes a tensor where it is: `add_`, `zero_`, `x += y`, `x[…] = y`.

Source: https://docs.pytorch.org/docs/stable/tensors.html
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from torchmedic.abstract.expressions import data_of
from torchmedic.abstract.registry import TENSOR_METHODS
from torchmedic.abstract.tables.broadcasting import broadcast
from torchmedic.abstract.tables.dtypes import category, is_integral, of_operands, scalar_type
from torchmedic.abstract.tables.operation import (
    Call,
    Refused,
    Signature,
    Untold,
    operation,
    text,
)
from torchmedic.abstract.tables.overwriting import is_whole, note_overwritten
from torchmedic.abstract.tables.pointwise import FLOATING, check_mask, check_subtraction, common
from torchmedic.abstract.values import Arguments, Tensor, Unknown, Value

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine


def write_into(machine: Machine, tensor: Tensor, *values: Value) -> Tensor:
    """The tensor carries the graphs of what was written into it, and has other values from now on."""
    for name, value in (("through", ()), ("activations", frozenset())):
        machine.set(tensor, name, value)
    machine.note_use(*(v for v in values if v is not tensor))
    data = data_of(*values)
    if data:
        graph = machine.graph_of([tensor, *data])
        if machine.modes["grad"] is False:
            graph = tensor.graph
        elif not tensor.is_parameter:
            reach, cuts = machine.followed([tensor, *data], graph, False, None)
            machine.set(tensor, "reach", reach)
            machine.set(tensor, "cuts", cuts)
        if graph is not tensor.graph and not tensor.is_parameter:
            machine.set(tensor, "graph", graph)
            if graph is not False:
                machine.set(tensor, "is_leaf", None if graph is None else False)
        calls = frozenset().union(tensor.calls, *(d.calls for d in data))
        if calls != tensor.calls:
            machine.set(tensor, "calls", calls)
            machine.set(tensor, "sums", frozenset().union(tensor.sums, *(d.sums for d in data)))
    return tensor


def check_into(call: Call, tensor: Tensor, dtype: str, *others: Value) -> None:
    """The result has to have the tensor's shape, and a dtype of a category no higher."""
    if tensor.library != "torch":
        raise Untold
    shape = tensor.shape
    for other in others:
        if isinstance(other, Tensor):
            shape = common(call, shape, other.shape)
    if dtype and tensor.dtype and category(dtype) > category(tensor.dtype):
        call.refuse(
            "RuntimeError",
            f"result type {scalar_type(dtype)} can't be cast to the desired output type {scalar_type(tensor.dtype)}",
        )
    if shape is not None and tensor.shape is not None:
        differs = len(shape) != len(tensor.shape) or any(
            a.is_different(b) for a, b in zip(shape, tensor.shape, strict=True)
        )
        if differs:
            call.refuse(
                "RuntimeError",
                f"output with shape {text(tensor.shape)} doesn't match the broadcast shape {text(shape)}",
            )


def arithmetic_into(call: Call, name: str, tensor: Tensor, other: Value) -> Tensor:
    dtype = of_operands(call.machine, tensor, other)
    if name == "sub":
        check_subtraction(call, tensor, other)
    if name == "div" and is_integral(dtype) and not call.has("rounding_mode"):
        dtype = "float32"
    check_into(call, tensor, dtype, other)
    return write_into(call.machine, tensor, other)


def _binary(name: str) -> None:
    @operation("input, other, alpha=1, rounding_mode=None", f"Tensor.{name}_")
    def work(call: Call) -> Value:
        return arithmetic_into(call, name, call.tensor(), call.value("other"))


for _name in ("add", "sub", "mul", "div", "floor_divide", "remainder"):
    _binary(_name)


def _self(name: str, floating: bool) -> None:
    @operation("input, min=None, max=None, value=None, exponent=None", f"Tensor.{name}_")
    def work(call: Call) -> Value:
        tensor = call.tensor()
        if floating and is_integral(tensor.dtype):
            check_into(call, tensor, "float32")
        if any(isinstance(v, Tensor) and v is not tensor for v in call.inputs()):
            raise Untold
        return write_into(call.machine, tensor)


for _name in FLOATING:
    _self(_name, True)
for _name in (
    "neg",
    "abs",
    "clamp",
    "clip",
    "relu",
    "square",
    "nan_to_num",
    "floor",
    "ceil",
    "round",
    "sign",
):
    _self(_name, False)


def _filled(*names: str) -> None:
    def work(machine: Machine, tensor: Tensor, arguments: Arguments) -> Value:
        from torchmedic.abstract.tables.events import drawn

        if not names[0].startswith(("fill", "zero")):
            drawn(machine, "torch")
        note_overwritten(machine, tensor)
        return write_into(machine, tensor)

    for name in names:
        TENSOR_METHODS[name] = work


_filled("zero_", "fill_", "fill_diagonal_")
_filled(
    "normal_",
    "uniform_",
    "random_",
    "bernoulli_",
    "exponential_",
    "geometric_",
    "cauchy_",
    "log_normal_",
)


@operation("input, src, non_blocking=False", "Tensor.copy_")
def _copy(call: Call) -> Value:
    tensor, source = call.tensor(), call.tensor("src")
    shape, clash = broadcast(tensor.shape, source.shape)
    if clash is not None and shape is None:
        raise Untold
    note_overwritten(call.machine, tensor)
    return write_into(call.machine, tensor, source)


@operation("input, mask, value", "Tensor.masked_fill_")
def _masked_fill(call: Call) -> Value:
    check_mask(call, call.tensor("mask"))
    return write_into(call.machine, call.tensor(), call.value("value"))


@operation("input, requires_grad=True", "Tensor.requires_grad_")
def _requires_grad(call: Call) -> Value:
    tensor = call.tensor()
    wanted = call.flag("requires_grad")
    if wanted and is_integral(tensor.dtype):
        call.refuse("RuntimeError", "only Tensors of floating point dtype can require gradients")
    set_requires_grad(call.machine, tensor, wanted)
    return tensor


def set_requires_grad(machine: Machine, tensor: Tensor, wanted: bool | None) -> None:
    """Of a leaf; a parameter that stands for many makes its modules' state unknown."""
    machine.set(tensor, "graph", wanted)
    holders: dict[int, Any] = machine.__dict__.get("holders", {})
    for number in tensor.owners:
        module = holders.get(number)
        if module is None or not tensor.is_parameter:
            continue
        machine.set(module, "frozen", False if wanted is True and module.frozen is False else None)
        for value in module.attributes.values():
            if isinstance(value, Tensor) and value.is_parameter and value.graph is not wanted:
                machine.set(value, "graph", None)


def _reshaping(name: str, signature: str) -> None:
    """`unsqueeze_` and the like: the tensor takes the shape that the other function gives."""

    @operation(f"input, {signature}" if signature else "input", f"Tensor.{name}_")
    def work(call: Call) -> Value:
        tensor = call.tensor()
        result = TENSOR_METHODS[name](call.machine, tensor, call.arguments)
        if not isinstance(result, Tensor):
            raise Untold
        for field in ("shape", "strides", "is_contiguous"):
            call.machine.set(tensor, field, getattr(result, field))
        return tensor


for _name, _signature in (("unsqueeze", "dim"), ("squeeze", "dim=None"), ("transpose", "dim0, dim1"), ("t", ""),
                          ("swapaxes", "dim0, dim1")):  # fmt: skip
    _reshaping(_name, _signature)


def _unknown(*names: str) -> None:
    """What may change the tensor's shape or dtype in a way that isn't followed."""

    def work(machine: Machine, tensor: Tensor, arguments: Arguments) -> Value:
        for module in [machine.parts[i] for i in tensor.owners if i in machine.parts]:
            machine.write(module.state, "is_changed", True)
        machine.set(tensor, "shape", None)
        machine.set(tensor, "strides", None)
        machine.set(tensor, "is_contiguous", None)
        return tensor

    for name in names:
        TENSOR_METHODS[name] = work


_unknown("resize_", "set_", "resize_as_")


def augmented(machine: Machine, op: ast.operator, tensor: Tensor, other: Value) -> Value:
    """`tensor += other`: raises what the operation in place raises; the tensor keeps shape and dtype."""
    from torchmedic.abstract.tables.arithmetic import NAMES, binary

    machine.note_gradient(tensor, "add_")
    name = NAMES.get(type(op), "")
    if not name or (isinstance(other, Tensor) and other.library != "torch"):
        return binary(machine, op, tensor, other)
    call = Call(
        machine,
        Arguments(ast.Constant(None), [tensor, other], {}),
        Signature("input, other", name, ""),
    )
    try:
        arithmetic_into(call, name, tensor, other)
    except (Untold, Refused):
        write_into(machine, tensor, other)
    if machine.modes["grad"] is False:
        return tensor  # it stays the leaf, or the result, that it was
    result = machine.derived(tensor, other, shape=tensor.shape, dtype=tensor.dtype)
    result.is_contiguous, result.strides = tensor.is_contiguous, tensor.strides
    if isinstance(other, Unknown) and tensor.dtype and is_integral(tensor.dtype):
        result.graph = False
    return result


def assigned(machine: Machine, tensor: Tensor, value: Value) -> None:
    """`tensor[…] = value`."""
    if tensor.library == "torch":
        machine.note_gradient(tensor, "fill_")
        if is_whole(machine.frame.node):
            note_overwritten(machine, tensor)
        write_into(machine, tensor, value)
