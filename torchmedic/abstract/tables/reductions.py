"""Reductions of tensors: sum, mean, max, argmax and the like."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from torchmedic.abstract.expressions import size_of
from torchmedic.abstract.registry import tensor_method
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.tables.activations import ordered
from torchmedic.abstract.tables.events import constant
from torchmedic.abstract.tables.tensors import as_function, same, sizes_in
from torchmedic.abstract.values import (
    Arguments,
    Const,
    Sequence,
    Tensor,
    Value,
)

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

Shape = tuple[Size, ...]
DTYPES = {"float": "float32", "double": "float64", "half": "float16", "bfloat16": "bfloat16", "long": "int64",
          "int": "int32", "short": "int16", "byte": "uint8", "char": "int8", "bool": "bool"}  # fmt: skip


def reduced(
    machine: Machine, tensor: Tensor, arguments: Arguments, dtype: str = "", at: int = 0
) -> Value:
    """One dimension less for each in `dim`; none without `dim`."""
    given = arguments.get(at, "dim", "axis")
    keep = constant(arguments.get(at + 1, "keepdim", "keepdims")) is True
    dtype = dtype or tensor.dtype
    if given is None or (isinstance(given, Const) and given.value is None):
        return same(machine, tensor, (), dtype=dtype, through=())
    dims = sizes_in([given])
    if tensor.shape is None or dims is None or None in dims:
        return same(machine, tensor, None, dtype=dtype, through=())
    rank = len(tensor.shape)
    places = [d.constant for d in dims if d is not None]
    if any(p is None or not -rank <= p < rank for p in places):
        return same(machine, tensor, None, dtype=dtype, through=())
    gone = {p % rank for p in places if p is not None}
    shape = tuple(
        Size.of(1) if i in gone else s for i, s in enumerate(tensor.shape) if keep or i not in gone
    )
    return same(machine, tensor, shape, dtype=dtype, through=())


def _reduction(*names: str, dtype: str = "") -> None:
    def work(machine: Machine, tensor: Tensor, arguments: Arguments) -> Value:
        kind = dtype
        if not kind and tensor.dtype.startswith(("int", "uint", "bool")) and names[0] == "sum":
            kind = "int64"
        if names[0] == "argmax":
            read = ordered(machine, tensor, constant(arguments.get(0, "dim", "axis")))
        else:
            read = tensor
        result = reduced(machine, read, arguments, kind)
        if kind in ("int64", "bool") and isinstance(result, Tensor):
            result.graph = False
        return result

    tensor_method(*names)(work)


_reduction("sum", "prod")
_reduction("mean", "std", "var", "norm", "logsumexp", "amax", "amin", "nanmean")
_reduction("argmax", "argmin", dtype="int64")
_reduction("all", "any", dtype="bool")


@tensor_method("max", "min", "median", "mode", "sort", "topk", "kthvalue")
def _max(machine: Machine, tensor: Tensor, arguments: Arguments) -> Value:
    called = arguments.node.func if isinstance(arguments.node, ast.Call) else None
    name = called.attr if isinstance(called, ast.Attribute) else ""
    if tensor.library == "numpy":
        return reduced(machine, tensor, arguments)
    if name in ("sort", "topk", "kthvalue"):
        shape = tensor.shape
        if name == "topk" and shape:
            count = size_of(arguments.get(0, "k"))
            dim = constant(arguments.get(1, "dim"))
            if dim in (None, -1, len(shape) - 1):
                shape = (*shape[:-1], count if count is not None else Size.fresh("k"))
            else:
                shape = None
        elif name == "kthvalue":
            shape = None
        plain = ordered(machine, tensor, constant(arguments.get(int(name != "sort"), "dim")))
        values = same(machine, plain, shape, through=(), activations=tensor.activations)
        places = same(machine, plain, shape, dtype="int64", graph=False, through=())
        return Sequence("tuple", (values, places))
    given = arguments.get(0, "dim")
    if given is None or isinstance(given, Tensor):
        shape = () if given is None else tensor.shape
        return same(machine, tensor, shape, through=())
    plain = ordered(machine, tensor, constant(given))
    first_part = reduced(machine, plain, arguments)
    second = reduced(machine, plain, arguments, "int64")
    if isinstance(first_part, Tensor):
        first_part.activations = tensor.activations
    if isinstance(second, Tensor):
        second.graph = False
        second.through = ("argmax",)
    return Sequence("tuple", (first_part, second))


for _name in ("argmax", "argmin", "max", "min", "topk", "sort"):
    as_function(_name)
