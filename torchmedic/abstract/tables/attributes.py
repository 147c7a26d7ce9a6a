"""Attributes of tensors, and what tells their sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchmedic.abstract.expressions import from_size
from torchmedic.abstract.registry import TENSOR_ATTRIBUTES, tensor_method
from torchmedic.abstract.sizes import Size, product
from torchmedic.abstract.tables.events import constant
from torchmedic.abstract.tables.tensors import _turned, same
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


@tensor_method("size")
def _size(machine: Machine, tensor: Tensor, arguments: Arguments) -> Value:
    at = arguments.get(0, "dim")
    if at is None:
        return _size_values(tensor)
    index = constant(at)
    if (
        tensor.shape is not None
        and type(index) is int
        and -len(tensor.shape) <= index < len(tensor.shape)
    ):
        return from_size(tensor.shape[index])
    return _unknown_length(tensor) if tensor.shape is None and index == 0 else Number()


@tensor_method("numel", "nelement")
def _numel(machine: Machine, tensor: Tensor, arguments: Arguments) -> Value:
    return from_size(product(list(tensor.shape))) if tensor.shape is not None else Number()


@tensor_method("dim", "ndimension")
def _dim(machine: Machine, tensor: Tensor, arguments: Arguments) -> Value:
    return Const(len(tensor.shape)) if tensor.shape is not None else Number()


TENSOR_ATTRIBUTES["shape"] = lambda machine, tensor: _size_values(tensor)
TENSOR_ATTRIBUTES["ndim"] = lambda machine, tensor: (
    Const(len(tensor.shape)) if tensor.shape is not None else Number()
)
TENSOR_ATTRIBUTES["T"] = lambda machine, tensor: _turned(machine, tensor)
TENSOR_ATTRIBUTES["mT"] = lambda machine, tensor: same(machine, tensor, None)
TENSOR_ATTRIBUTES["dtype"] = lambda machine, tensor: (
    External(f"{tensor.library}.{tensor.dtype}") if tensor.dtype else Unknown(False, why="dtype")
)
TENSOR_ATTRIBUTES["device"] = lambda machine, tensor: Unknown(False, hint="torch.device")
TENSOR_ATTRIBUTES["requires_grad"] = lambda machine, tensor: (
    Const(tensor.graph) if tensor.graph is not None else Unknown(False)
)
TENSOR_ATTRIBUTES["data"] = lambda machine, tensor: same(
    machine, tensor, tensor.shape, graph=False, calls=frozenset(), sums=frozenset()
)
TENSOR_ATTRIBUTES["grad"] = lambda machine, tensor: Tensor(
    False, shape=tensor.shape, dtype=tensor.dtype, owners=tensor.owners, through=("grad",)
)
TENSOR_ATTRIBUTES["is_cuda"] = lambda machine, tensor: Unknown(False)
TENSOR_ATTRIBUTES["grad_fn"] = lambda machine, tensor: Unknown(False)
