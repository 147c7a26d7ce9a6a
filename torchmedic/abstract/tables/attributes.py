"""Attributes of tensors, and what tells their sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchmedic.abstract.expressions import from_size
from torchmedic.abstract.registry import (
    ARRAY_METHODS,
    FUNCTIONS,
    METHODS,
    TENSOR_ATTRIBUTES,
    TENSOR_METHODS,
)
from torchmedic.abstract.sizes import Size, product
from torchmedic.abstract.tables.dtypes import FLOATS, of_operands
from torchmedic.abstract.tables.events import constant, converted
from torchmedic.abstract.tables.operation import Call, Signature, answered, operation
from torchmedic.abstract.tables.overwriting import share_memory
from torchmedic.abstract.tables.tensors import NO_GRAPH, same
from torchmedic.abstract.tables.views import ordered
from torchmedic.abstract.values import (
    Arguments,
    Const,
    Device,
    External,
    Number,
    Object,
    Sequence,
    Tensor,
    Unknown,
    Value,
)

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine


# --- sizes


def _size_values(tensor: Tensor) -> Value:
    if tensor.shape is None:
        sizes = Sequence("tuple", rest=Number())
        sizes.__dict__["known_first"] = _unknown_length(tensor)
        return sizes
    return Sequence("tuple", tuple(from_size(s) for s in tensor.shape))


def _unknown_length(tensor: Tensor) -> Value:
    """`len(tensor)`: the same unknown number however it is asked for."""
    known: Value = tensor.__dict__.setdefault("known_length", Number(Size.fresh("len")))
    return known


@operation("input, dim=None", "Tensor.size", is_many=True)
def _size(call: Call) -> Value:
    tensor = call.tensor()
    if not call.has("dim"):
        return _size_values(tensor)
    if tensor.shape is None:
        return _unknown_length(tensor) if constant(call.value("dim")) == 0 else Number()
    if not tensor.shape:
        call.refuse("IndexError", "Dimension specified as 0 but tensor has no dimensions") if (
            call.constant("dim") == 0
        ) else None
        return Number()
    if type(constant(call.value("dim"))) is not int:
        return Number()
    return from_size(tensor.shape[call.dim("dim", len(tensor.shape))])


def _count(machine: Machine, tensor: Tensor, arguments: Arguments | None = None) -> Value:
    return from_size(product(list(tensor.shape))) if tensor.shape is not None else Number()


def _rank(machine: Machine, tensor: Tensor, arguments: Arguments | None = None) -> Value:
    return Const(len(tensor.shape)) if tensor.shape is not None else Number()


for _name in ("numel", "nelement"):
    TENSOR_METHODS[_name] = _count
for _name in ("dim", "ndimension"):
    TENSOR_METHODS[_name] = _rank


def _numel(machine: Machine, arguments: Arguments) -> Value:
    value = arguments.get(0, "input")
    return _count(machine, value) if isinstance(value, Tensor) else Number()


FUNCTIONS["torch.numel"] = _numel


def _shape_numel(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    if isinstance(thing, Sequence) and thing.is_exact:
        from torchmedic.abstract.expressions import size_of

        sizes = [size_of(v) for v in thing.items]
        if None not in sizes:
            return from_size(product([s for s in sizes if s is not None]))
    return Number()


METHODS["tuple", "numel"] = _shape_numel


@operation("input", "Tensor.is_contiguous", is_many=True)
def _is_contiguous(call: Call) -> Value:
    if call.tensor().is_contiguous is False and not call.has("memory_format"):
        return Const(False)
    return Unknown(False)


@operation("input", "Tensor.is_floating_point", "torch.is_floating_point", is_many=True)
def _is_floating(call: Call) -> Value:
    dtype = call.tensor().dtype
    return Const(dtype in FLOATS) if dtype else Unknown(False)


@operation("input, other", "torch.result_type", is_many=True)
def _result_type(call: Call) -> Value:
    dtype = of_operands(call.machine, call.value("input"), call.value("other"))
    return External(f"torch.{dtype}") if dtype else Unknown(False, why="dtype")


_ONE = Signature("input", "T", "", True)


def _turned(machine: Machine, tensor: Tensor, last: bool = False) -> Value:
    """All dimensions, or the last two, in reversed order."""

    def work(call: Call) -> Value:
        rank = len(call.shape())
        order = list(range(rank))
        if last and rank == 1:
            call.refuse(
                "RuntimeError",
                "tensor.mT is only supported on matrices or batches of matrices. Got 1-D tensor.",
            )
        if last and rank >= 2:
            order[-1], order[-2] = order[-2], order[-1]
        elif not last:
            order.reverse()
        return ordered(call, order)

    from torchmedic.abstract.values import NOWHERE

    return answered(Call(machine, Arguments(NOWHERE, [], {}), _ONE, tensor), work)


def _item_size(machine: Machine, tensor: Tensor) -> Value:
    from torchmedic.abstract.tables.dtypes import BITS

    return Const(BITS[tensor.dtype] // 8) if tensor.dtype in BITS else Number()


def _element_size(machine: Machine, tensor: Tensor, arguments: Arguments) -> Value:
    return _item_size(machine, tensor)


TENSOR_METHODS["element_size"] = _element_size
TENSOR_ATTRIBUTES["shape"] = lambda machine, tensor: _size_values(tensor)
TENSOR_ATTRIBUTES["ndim"] = _rank
TENSOR_ATTRIBUTES["itemsize"] = _item_size
TENSOR_ATTRIBUTES["T"] = _turned
TENSOR_ATTRIBUTES["mT"] = lambda machine, tensor: _turned(machine, tensor, True)
TENSOR_ATTRIBUTES["dtype"] = lambda machine, tensor: (
    External(f"{tensor.library}.{tensor.dtype}") if tensor.dtype else Unknown(False, why="dtype")
)
TENSOR_ATTRIBUTES["device"] = lambda machine, tensor: Device(
    False, hint="torch.device", name=tensor.device
)
TENSOR_ATTRIBUTES["requires_grad"] = lambda machine, tensor: (
    Const(tensor.graph) if tensor.graph is not None else Unknown(False)
)


def _data(machine: Machine, tensor: Tensor) -> Value:
    cuts = converted(machine, tensor, "data")
    data = same(machine, tensor, tensor.shape, **NO_GRAPH, cuts=cuts, is_leaf=True)
    return share_memory(machine, tensor, data)


TENSOR_ATTRIBUTES["data"] = _data
TENSOR_ATTRIBUTES["grad"] = lambda machine, tensor: Tensor(
    False,
    shape=tensor.shape,
    dtype=tensor.dtype,
    owners=tensor.owners,
    is_contiguous=None,
    through=("grad",),
)


def _is_cuda(machine: Machine, tensor: Tensor) -> Value:
    """Of "cpu|cuda" it depends on the machine; a framework may move what is on the CPU."""
    if machine.frameworks or tensor.library != "torch" or "|" in tensor.device or not tensor.device:
        return Unknown(False)
    return Const(tensor.device.startswith("cuda"))


TENSOR_ATTRIBUTES["is_cuda"] = _is_cuda
for _name in ("grad_fn", "is_leaf", "layout", "names", "itemsize", "nbytes", "_version"):
    TENSOR_ATTRIBUTES.setdefault(_name, lambda machine, tensor: Unknown(False))


def _array_size(machine: Machine, tensor: Tensor) -> Value:
    """An array's `size` is a number; a tensor's is a method."""
    from torchmedic.abstract.values import Bound

    if tensor.library == "numpy":
        return _count(machine, tensor)
    return Bound(tensor, "size")


TENSOR_ATTRIBUTES["size"] = _array_size
assert ARRAY_METHODS is not None
