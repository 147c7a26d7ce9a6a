"""Methods of tensors that change dtype, device, library or graph.

Source: https://docs.pytorch.org/docs/stable/tensors.html
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from torchmedic.abstract.devices import device_of
from torchmedic.abstract.expressions import size_of
from torchmedic.abstract.registry import TENSOR_METHODS
from torchmedic.abstract.sizes import Size, product
from torchmedic.abstract.tables.dtypes import METHODS as DTYPES
from torchmedic.abstract.tables.dtypes import (
    category,
    dtype_named,
    legacy_named,
)
from torchmedic.abstract.tables.events import constant, converted
from torchmedic.abstract.tables.operation import Call, Untold, operation, with_strides_of
from torchmedic.abstract.tables.overwriting import share_memory
from torchmedic.abstract.values import (
    Arguments,
    Const,
    External,
    Number,
    Sequence,
    Tensor,
    Unknown,
    Value,
)

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

Shape = tuple[Size, ...]
NO_GRAPH: dict[str, Any] = {"graph": False, "calls": frozenset(), "sums": frozenset(), "reach": 0}


def sizes_in(values: list[Value]) -> list[Size | None] | None:
    """The sizes given as `2, 3`, `(2, 3)` or `x.shape`; None in it for one that can't be told."""
    if len(values) == 1 and isinstance(values[0], Sequence):
        if not values[0].is_exact:
            return None
        values = list(values[0].items)
    elif len(values) == 1 and size_of(values[0]) is None:
        return None  # it may be a tuple
    if any(isinstance(v, Sequence) for v in values):
        return None
    return [size_of(v) for v in values]


def same(machine: Machine, tensor: Tensor, shape: Shape | None, **changes: Any) -> Tensor:
    """A result with the tensor's dtype, library and history: the same values, unless `through` is among the changes.

    Where its elements lie stays known if the shape stays.
    """
    is_use = "through" in changes
    result = machine.derived(
        tensor, shape=shape, dtype=tensor.dtype, library=tensor.library, is_use=is_use
    )
    if not is_use:
        result.through, result.activations = tensor.through, tensor.activations
    result.owners = tensor.owners
    if shape is tensor.shape:
        result.is_contiguous, result.strides = tensor.is_contiguous, tensor.strides
    elif tensor.is_contiguous is not True:
        result.is_contiguous = None
    for name, value in changes.items():
        setattr(result, name, value)
    return result


def passed(machine: Machine, tensor: Tensor) -> Tensor:
    """The tensor itself, for a call that changes nothing that is known."""
    result = same(machine, tensor, tensor.shape)
    result.graph, result.is_leaf, result.is_parameter = tensor.graph, tensor.is_leaf, False
    return result


# --- out of the graph


@operation("input", "Tensor.detach", "torch.detach", "Tensor.detach_")
def _detach(call: Call) -> Value:
    tensor = call.tensor()
    cuts = converted(call.machine, tensor, "detach")
    if call.name.endswith("_"):
        call.machine.set(tensor, "graph", False)
        call.machine.set(tensor, "reach", 0)
        call.machine.set(tensor, "cuts", cuts)
    result = same(call.machine, tensor, tensor.shape, **NO_GRAPH, cuts=cuts, is_leaf=True)
    return share_memory(call.machine, tensor, result)


def _taken_out(machine: Machine, tensor: Tensor, arguments: Arguments) -> Value:
    """`.item()`: a Python number, which isn't known."""
    cuts = converted(machine, tensor, "item")
    called = arguments.node.func if isinstance(arguments.node, ast.Call) else None
    if isinstance(called, ast.Attribute) and called.attr == "item" and tensor.library == "torch":
        count = product(list(tensor.shape)).constant if tensor.shape is not None else None
        if count is not None and count != 1:
            machine.fail(
                "RuntimeError", f"a Tensor with {count} elements cannot be converted to Scalar"
            )
    return Unknown(False, cuts=cuts)


TENSOR_METHODS["item"] = _taken_out
TENSOR_METHODS["tolist"] = _taken_out


@operation("input, force=False", "Tensor.numpy", "Tensor.__array__")
def _numpy(call: Call) -> Value:
    machine, tensor = call.machine, call.tensor()
    if tensor.graph and call.constant("force") is False:
        told_graph(machine)
    cuts = converted(machine, tensor, "numpy")
    result = same(machine, tensor, tensor.shape, library="numpy", **NO_GRAPH, cuts=cuts)
    if tensor.dtype == "bfloat16":
        result.dtype = ""
    result.__dict__["calls_before"] = tensor.calls  # a metric tells what it was made of
    return result


def told_graph(machine: Machine) -> None:
    machine.fail(
        "RuntimeError",
        "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.",
    )


# --- dtypes and devices


def retyped(machine: Machine, tensor: Tensor, dtype: str) -> Tensor:
    """With another dtype; "" if it can't be told."""
    if dtype == tensor.dtype and dtype:
        return passed(machine, tensor)
    result = same(machine, tensor, tensor.shape, dtype=dtype)
    result.made = machine.place()
    result.is_contiguous, result.strides = None, None
    if tensor.is_contiguous is True:
        result.is_contiguous = True
    else:
        with_strides_of(result, tensor)
    if dtype and category(dtype) < 2:
        result.graph, result.is_leaf = False, True
    elif not dtype and result.graph:
        result.graph = result.is_leaf = None
    return result


def _cast(name: str, dtype: str) -> None:
    @operation("input, memory_format=None", f"Tensor.{name}")
    def work(call: Call) -> Value:
        return retyped(call.machine, call.tensor(), dtype)


for _name, _dtype in DTYPES.items():
    _cast(_name, _dtype)


def placed(result: Tensor, device: str) -> Tensor:
    result.device = device if result.library == "torch" else ""
    return result


def _moved(call: Call, tensor: Tensor, values: list[Value]) -> str:
    """The device after `.to(…)` and the like; "" if it can't be told."""
    name = call.name.removeprefix("Tensor.")
    if name in ("cpu", "cuda", "xpu", "mps"):
        return name
    device = tensor.device
    for value in (*values, *(v for k, v in call.given.items() if k == "device")):
        if isinstance(value, Tensor):
            device = value.device
        elif isinstance(value, Const) and type(value.value) is int:
            device = "cuda"
        elif isinstance(value, Const) and type(value.value) is not str:
            continue
        elif not dtype_named(value):
            device = device_of(value)
    return device


@operation("input, *given, other=None", "Tensor.to", "Tensor.type", "Tensor.type_as", "Tensor.cuda", "Tensor.cpu",
           "Tensor.pin_memory", "Tensor.share_memory_", "Tensor.xpu", "Tensor.mps")  # fmt: skip
def _to(call: Call) -> Value:
    """To a device, a dtype, or as another tensor is."""
    machine, tensor = call.machine, call.tensor()
    values = [*call.many, *(v for k, v in call.given.items() if k in ("dtype", "other"))]
    device = _moved(call, tensor, values)
    if call.has("memory_format"):
        machine.write(machine.modes, "memory_format", True)
        raise Untold
    if not values and call.name.endswith(".type"):
        return Unknown(False, hint="str")
    if call.name.endswith((".cuda", ".cpu", ".pin_memory", ".share_memory_", ".xpu", ".mps")):
        return placed(passed(machine, tensor), device)
    for value in values:
        if isinstance(value, Tensor):
            return placed(retyped(machine, tensor, value.dtype), device)
        if dtype := dtype_named(value) or legacy_named(value):
            return placed(retyped(machine, tensor, dtype), device)
    if any(_may_be_dtype(node, value) for node, value in _written(call.arguments)):
        return placed(retyped(machine, tensor, ""), device)
    return placed(passed(machine, tensor), device)


def _written(arguments: Arguments) -> Iterable[tuple[ast.expr, Value]]:
    if not isinstance(arguments.node, ast.Call):
        return []
    nodes = [*arguments.node.args, *(k.value for k in arguments.node.keywords)]
    return zip(nodes, arguments.all(), strict=False)


def _may_be_dtype(node: ast.expr, value: Value) -> bool:
    """`.to(something)`: a device is known by its type, its constant, or at least its name."""
    if isinstance(value, (Const, Number)) or getattr(value, "hint", "") == "torch.device":
        return False
    text = ast.unparse(node).lower()
    return not any(word in text for word in ("dev", "cuda", "cpu", "gpu", "rank"))


def _passing(machine: Machine, tensor: Tensor, arguments: Arguments) -> Value:
    return Const(None)


for _name in ("retain_grad", "register_hook", "zero_grad"):
    TENSOR_METHODS[_name] = _passing


__all__ = ["DTYPES", "External", "constant", "dtype_named", "same", "sizes_in"]
