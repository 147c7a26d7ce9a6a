"""Reductions of tensors: sum, mean, max, argmax and the like; and what sorts them.

Source: https://docs.pytorch.org/docs/stable/torch.html#reduction-ops
"""

from __future__ import annotations

from torchmedic.abstract.expressions import size_of
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.tables.activations import ordered
from torchmedic.abstract.tables.dtypes import is_integral, of_operands, scalar_type
from torchmedic.abstract.tables.operation import (
    Call,
    Shape,
    Untold,
    operation,
)
from torchmedic.abstract.tables.pointwise import combined, float_of
from torchmedic.abstract.values import Const, Sequence, Tensor, Value

ONE = Size.of(1)


def homes(*names: str) -> list[str]:
    return [f"{home}.{name}" for name in names for home in ("torch", "Tensor")]


def reduced_shape(call: Call, places: list[int] | None, keep: bool) -> Shape:
    """Without these dimensions, or with a 1 for each; without all for None."""
    shape = call.shape()
    if places is None:
        return (ONE,) * len(shape) if keep else ()
    if len(set(places)) < len(places):
        twice = next(p for p in places if places.count(p) > 1)
        call.refuse("RuntimeError", f"dim {twice} appears multiple times in the list of dims")
    return tuple(ONE if i in places else s for i, s in enumerate(shape) if keep or i not in places)


def _places(call: Call) -> list[int] | None:
    """None for all dimensions."""
    if not call.has("dim"):
        return None
    value = call.value("dim")
    if isinstance(value, Sequence) and value.is_exact and not value.items:
        return None
    return call.dims("dim", len(call.shape()))


def reduced(call: Call, dtype: str, keep: bool | None = None) -> Tensor:
    tensor = call.tensor()
    if keep is None:
        keep = call.flag("keepdim")
    if not call.has("dim") and not keep:
        return call.made((), dtype, tensor)
    return call.made(reduced_shape(call, _places(call), keep), dtype, tensor)


@operation("input, dim=None, keepdim=False, dtype=None", *homes("sum", "nansum"))
def _sum(call: Call) -> Value:
    dtype = call.tensor().dtype
    return reduced(call, call.dtype("int64" if is_integral(dtype) else dtype))


@operation("input, dim=None, keepdim=False, dtype=None", *homes("prod"))
def _prod(call: Call) -> Value:
    if call.has("dim") and isinstance(call.value("dim"), Sequence):
        raise Untold
    dtype = call.tensor().dtype
    return reduced(call, call.dtype("int64" if is_integral(dtype) else dtype))


@operation("input, dim=None, keepdim=False, dtype=None", *homes("mean", "nanmean"))
def _mean(call: Call) -> Value:
    dtype = call.tensor().dtype
    if is_integral(dtype) and not call.has("dtype"):
        if call.name.endswith("nanmean"):
            raise Untold
        call.refuse(
            "RuntimeError",
            "mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. Got: "
            f"{scalar_type(dtype)}",
        )
    return reduced(call, call.dtype(dtype))


@operation("input, dim=None, unbiased=True, keepdim=False, correction=None", *homes("std", "var"))
def _std(call: Call) -> Value:
    return _spread(call)


@operation("input, dim=None, unbiased=True, keepdim=False, correction=None", *homes("std_mean", "var_mean"), is_many=True)  # fmt: skip
def _std_mean(call: Call) -> Value:
    return Sequence("tuple", (_spread(call), _spread(call)))


def _spread(call: Call) -> Tensor:
    dtype = call.tensor().dtype
    given = call.given.get("dim")
    if isinstance(given, Const) and isinstance(given.value, bool):
        del call.given["dim"]  # `x.std(False)`: unbiased
    if is_integral(dtype):
        call.refuse("RuntimeError", "std and var only support floating point and complex dtypes")
    return reduced(call, {"complex64": "float32", "complex128": "float64"}.get(dtype, dtype))


@operation("input, p='fro', dim=None, keepdim=False, dtype=None", *homes("norm"))
def _norm(call: Call) -> Value:
    dtype = call.tensor().dtype
    if is_integral(dtype) and not call.has("dtype"):
        call.refuse(
            "RuntimeError",
            "linalg.vector_norm: Expected a floating point or complex tensor as input. Got "
            f"{scalar_type(dtype)}",
        )
    return reduced(call, call.dtype(dtype))


@operation("input, ord=None, dim=None, keepdim=False, dtype=None", "torch.linalg.norm", "torch.linalg.vector_norm")  # fmt: skip
def _vector_norm(call: Call) -> Value:
    dtype = call.tensor().dtype
    if is_integral(dtype) or call.has("dtype"):
        raise Untold
    return reduced(call, dtype)


@operation("input, dim, keepdim=False", *homes("logsumexp"))
def _logsumexp(call: Call) -> Value:
    return reduced(call, float_of(call, call.tensor().dtype))


def _check_elements(call: Call) -> None:
    if call.has("dim"):
        check_not_empty(call, _places(call) or [])
    elif call.tensor().shape is not None and any(s.constant == 0 for s in call.shape()):
        raise Untold


@operation("input, dim=None, keepdim=False", *homes("amax", "amin"))
def _amax(call: Call) -> Value:
    _check_elements(call)
    return reduced(call, call.tensor().dtype)


@operation("input, dim=None, keepdim=False", *homes("all", "any"), dtype="bool")
def _all(call: Call) -> Value:
    dtype = call.tensor().dtype
    return reduced(call, "uint8" if dtype == "uint8" else "bool" if dtype else "")


@operation("input, dim=None, keepdim=False", *homes("argmax", "argmin"), dtype="int64")
def _argmax(call: Call) -> Value:
    if call.tensor().dtype == "bool":
        call.refuse(
            "RuntimeError", f"{call.name.rpartition('.')[2]}(): does not support bool input"
        )
    _check_elements(call)
    call.given["input"] = _ordered(call)
    result = reduced(call, "int64")
    result.through = ("argmax",)
    return result


@operation("input, dim=None", *homes("count_nonzero"), dtype="int64")
def _count_nonzero(call: Call) -> Value:
    return reduced(call, "int64", False)


# --- a value and where it is


def _pair(call: Call, shape: Shape, kind: str = "tuple") -> Sequence:
    tensor, plain = call.tensor(), _ordered(call)
    places = call.made(shape, "int64", plain, through=("argmax",))
    values = call.made(shape, tensor.dtype, plain)
    values.activations = tensor.activations
    return Sequence("tuple", (values, places), names=("values", "indices"))


def _ordered(call: Call) -> Tensor:
    dim = call.given.get("dim")
    return ordered(call.machine, call.tensor(), dim.value if isinstance(dim, Const) else None)


@operation("input, dim=None, keepdim=False, other=None", *homes("max", "min"), is_many=True)
def _max(call: Call) -> Value:
    other = call.given.get("other") or call.given.get("dim")
    if isinstance(other, Tensor) and other.library == "torch":
        return combined(
            call, [call.tensor(), other], of_operands(call.machine, call.tensor(), other)
        )
    if "dim" not in call.given:
        if call.tensor().shape is not None and any(s.constant == 0 for s in call.shape()):
            raise Untold
        return call.made((), call.tensor().dtype, call.tensor())
    return _along(call)


@operation("input, dim=None, keepdim=False", *homes("median", "nanmedian"), is_many=True)
def _median(call: Call) -> Value:
    if "dim" not in call.given:
        return call.made((), call.tensor().dtype, call.tensor())
    return _along(call)


@operation("input, dim=-1, keepdim=False", *homes("mode"), is_many=True)
def _mode(call: Call) -> Value:
    return _along(call)


@operation("input, dim, out=None", *homes("cummax", "cummin"), is_many=True)
def _cummax(call: Call) -> Value:
    call.dim("dim", len(call.shape()))
    return _pair(call, call.shape())


def check_not_empty(call: Call, places: list[int]) -> None:
    """A largest element of none isn't defined."""
    name = call.name.rpartition(".")[2]
    for at in places:
        if call.shape() and call.shape()[at].constant == 0:
            if name == "kthvalue":
                raise Untold
            call.refuse(
                "IndexError", f"{name}(): Expected reduction dim {at} to have non-zero size."
            )


def _along(call: Call) -> Value:
    at = call.dim("dim", len(call.shape()))
    check_not_empty(call, [at])
    return _pair(call, reduced_shape(call, [at], call.flag("keepdim")))


@operation("input, k, dim=-1, keepdim=False", *homes("kthvalue"), is_many=True)
def _kthvalue(call: Call) -> Value:
    return _along(call)


@operation("input, k, dim=-1, largest=True, sorted=True", *homes("topk"), is_many=True)
def _topk(call: Call) -> Value:
    shape = call.shape()
    if not shape:
        raise Untold
    at = call.dim("dim", len(shape))
    count = size_of(call.value("k"))
    if count is None:
        count = Size.fresh("k")
    elif (shape[at] - count).constant is not None and (shape[at] - count).is_less(0):
        call.refuse("RuntimeError", "selected index k out of range")
    return _pair(call, (*shape[:at], count, *shape[at + 1 :]))


@operation("input, dim=-1, descending=False, stable=None", *homes("sort"), is_many=True)
def _sort(call: Call) -> Value:
    shape = call.shape()
    call.dim("dim", len(shape))
    return _pair(call, shape)


@operation("input, dim=-1, descending=False, stable=None", *homes("argsort"), dtype="int64")
def _argsort(call: Call) -> Value:
    call.dim("dim", len(call.shape()))
    return call.made(call.shape(), "int64", call.tensor())


@operation("input, sorted=True, return_inverse=False, return_counts=False, dim=None", *homes("unique"), is_many=True)  # fmt: skip
@operation("input, return_inverse=False, return_counts=False, dim=None", *homes("unique_consecutive"), is_many=True)  # fmt: skip
def _unique(call: Call) -> Value:
    tensor = call.tensor()
    inverse, counts = call.flag("return_inverse"), call.flag("return_counts")
    count = Size.fresh("n")
    if call.has("dim"):
        shape = call.shape()
        at = call.dim("dim", len(shape))
        first: Shape | None = (*shape[:at], count, *shape[at + 1 :])
        where: Shape | None = (shape[at],)
    else:
        first, where = (count,), tensor.shape
    result = call.made(first, tensor.dtype, tensor, is_contiguous=None)
    result.graph = None if result.graph else result.graph
    parts = [result]
    if inverse:
        parts.append(call.made(where, "int64", tensor))
    if counts:
        parts.append(call.made((count,), "int64", tensor))
    return Sequence("tuple", tuple(parts)) if len(parts) > 1 else result


@operation("input, dim, dtype=None", *homes("cumsum", "cumprod"))
def _cumsum(call: Call) -> Value:
    shape, dtype = call.shape(), call.tensor().dtype
    call.dim("dim", len(shape))
    return call.made(shape, call.dtype("int64" if is_integral(dtype) else dtype), call.tensor())


@operation("input, dim", *homes("logcumsumexp"))
def _logcumsumexp(call: Call) -> Value:
    call.dim("dim", len(call.shape()))
    return call.made(call.shape(), float_of(call, call.tensor().dtype), call.tensor())


@operation("input, dims", "torch.flip")
@operation("input, *dims", "Tensor.flip")
def _flip(call: Call) -> Value:
    shape = call.shape()
    call.dims("dims", len(shape))
    return call.made(shape, call.tensor().dtype, call.tensor(), is_cast=False)


@operation("input", *homes("fliplr", "flipud"))
def _fliplr(call: Call) -> Value:
    return call.made(call.shape(), call.tensor().dtype, call.tensor(), is_cast=False)


@operation("input, shifts, dims=None", *homes("roll"))
def _roll(call: Call) -> Value:
    shape = call.shape()
    if call.has("dims"):
        call.dims("dims", len(shape))
    return call.made(shape, call.tensor().dtype, call.tensor(), is_cast=False)


@operation("input, n=1, dim=-1, prepend=None, append=None", *homes("diff"))
def _diff(call: Call) -> Value:
    shape = call.shape()
    if call.has("prepend") or call.has("append") or not shape or call.integer("n") != 1:
        raise Untold
    at = call.dim("dim", len(shape))
    if shape[at].constant == 0:
        raise Untold
    dtype = call.tensor().dtype
    return call.made((*shape[:at], shape[at] - 1, *shape[at + 1 :]), dtype, call.tensor())


@operation("input, diagonal=0", *homes("triu", "tril"))
def _triu(call: Call) -> Value:
    if len(call.shape()) < 2:
        raise Untold
    return call.made(call.shape(), call.tensor().dtype, call.tensor())


@operation("input", *homes("trace"))
def _trace(call: Call) -> Value:
    dtype = call.tensor().dtype
    return call.made((), "int64" if is_integral(dtype) else dtype, call.tensor())


@operation("input, weights=None, minlength=0", *homes("bincount"))
def _bincount(call: Call) -> Value:
    if call.has("weights"):
        raise Untold
    return call.made((Size.fresh("n"),), "int64", call.tensor())
