"""Elements that an index or a mask picks: gather, scatter, index_select, masked_select, nonzero.

Source: https://docs.pytorch.org/docs/stable/torch.html#indexing-slicing-joining-mutating-ops
"""

from __future__ import annotations

from torchmedic.abstract.registry import function
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.tables.inplace import write_into
from torchmedic.abstract.tables.operation import (
    Call,
    Untold,
    operation,
    text,
)
from torchmedic.abstract.tables.reductions import homes
from torchmedic.abstract.tables.strides import strides_of
from torchmedic.abstract.values import Arguments, Sequence, Tensor, Value

ONE = Size.of(1)


@operation("input, dim, index, sparse_grad=False", *homes("gather"))
def _gather(call: Call) -> Value:
    index = call.tensor("index")
    if index.dtype and index.dtype not in ("int64", "int32") and index.library == "torch":
        call.refuse("RuntimeError", "gather(): Expected dtype int32/int64 for index")
    shape = call.shape()
    at = call.dim("dim", len(shape))
    if index.shape is None:
        raise Untold
    if shape and index.shape:
        if len(index.shape) != len(shape):
            call.refuse(
                "RuntimeError",
                "Index tensor must have the same number of dimensions as input tensor",
            )
        for i, (a, b) in enumerate(zip(index.shape, shape, strict=True)):
            if i != at and (a - b).constant is not None and (a - b).constant > 0:
                if any(s.constant is None for s in (*index.shape, *shape)):
                    raise Untold
                call.refuse(
                    "RuntimeError",
                    f"Size does not match at dimension {i} expected index {text(index.shape)} to be no larger than self "
                    f"{text(shape)} apart from dimension {at}",
                )
    return call.made(index.shape, call.tensor().dtype, call.tensor())


@operation("input, indices, dim=None", *homes("take_along_dim"))
def _take_along_dim(call: Call) -> Value:
    from torchmedic.abstract.tables.broadcasting import broadcast

    if not call.has("dim"):
        raise Untold
    shape, index = list(call.shape()), list(call.shape("indices"))
    at = call.dim("dim", len(shape))
    if len(index) != len(shape) or call.tensor("indices").dtype != "int64":
        raise Untold
    picked = index[at]
    shape[at] = index[at] = ONE
    common, _ = broadcast(tuple(shape), tuple(index))
    if common is None:
        raise Untold
    return call.made((*common[:at], picked, *common[at + 1 :]), call.tensor().dtype, call.tensor())


@operation("input, index", *homes("take"))
def _take(call: Call) -> Value:
    return call.made(call.shape("index"), call.tensor().dtype, call.tensor())


@operation("input, dim, index", *homes("index_select"))
def _index_select(call: Call) -> Value:
    shape, index = call.shape(), call.tensor("index")
    at = call.dim("dim", len(shape))
    if index.shape is not None and len(index.shape) > 1:
        call.refuse("IndexError", "index_select(): Index is supposed to be a vector")
    if index.dtype and index.dtype not in ("int64", "int32"):
        call.refuse("RuntimeError", "index_select(): Expected dtype int32 or int64 for index")
    if index.shape is None or not shape:
        raise Untold
    count = index.shape[0] if index.shape else ONE
    return call.made((*shape[:at], count, *shape[at + 1 :]), call.tensor().dtype, call.tensor())


@operation("input, mask", *homes("masked_select"))
def _masked_select(call: Call) -> Value:
    mask = call.tensor("mask")
    if mask.dtype and mask.dtype != "bool":
        call.refuse("RuntimeError", "masked_select: expected BoolTensor for mask")
    return call.made((Size.fresh("n"),), call.tensor().dtype, call.tensor())


@operation("input, as_tuple=False", *homes("nonzero"), is_many=True)
def _nonzero(call: Call) -> Value:
    rank = len(call.shape())
    count = Size.fresh("n")
    if call.flag("as_tuple"):
        if not rank:
            raise Untold
        parts = [
            call.made((count,), "int64", call.tensor(), is_contiguous=None) for _ in range(rank)
        ]
        return Sequence("tuple", tuple(parts))
    return call.made((count, Size.of(rank)), "int64", call.tensor(), is_contiguous=None)


@function("torch.argwhere")
def _argwhere(machine: object, arguments: Arguments) -> Value:
    from torchmedic.abstract.registry import FUNCTIONS

    return FUNCTIONS["torch.nonzero"](machine, arguments)  # type: ignore[arg-type]


def _scattered(call: Call) -> Tensor:
    shape, index = call.shape(), call.tensor("index")
    at = call.dim("dim", len(shape))
    if index.dtype and index.dtype not in ("int64", "int32"):
        if call.name.rpartition(".")[2].rstrip("_") == "scatter":
            call.refuse("RuntimeError", "scatter(): Expected dtype int32/int64 for index")
        raise Untold
    if index.shape is not None and shape and index.shape and len(index.shape) != len(shape):
        call.refuse(
            "RuntimeError", "Index tensor must have the same number of dimensions as self tensor"
        )
    assert at >= 0
    source = call.given.get("src")
    if (
        isinstance(source, Tensor)
        and source.dtype
        and call.tensor().dtype
        and source.shape != ()
        and source.dtype != call.tensor().dtype
    ):
        call.refuse("RuntimeError", "scatter(): Expected self.dtype to be equal to src.dtype")
    return call.tensor()


_SCATTER = "input, dim, index, src, reduce=None, value=None, include_self=True"
_SCATTERS = ("scatter", "scatter_add", "scatter_reduce")


def _scatter(name: str) -> None:
    @operation(_SCATTER, f"torch.{name}", f"Tensor.{name}")
    def work(call: Call) -> Value:
        _scattered(call)
        return call.made(call.shape(), call.tensor().dtype, *call.inputs(), is_cast=False)

    @operation(_SCATTER, f"Tensor.{name}_")
    def work_into(call: Call) -> Value:
        tensor = _scattered(call)
        source = call.given.get("src") or call.given.get("value")
        return write_into(call.machine, tensor, *([source] if source is not None else []))


for _name in _SCATTERS:
    _scatter(_name)


@operation("input, dim, index, source, alpha=1", *homes("index_add", "index_copy"))
@operation("input, dim, index, value", *homes("index_fill"))
def _index_add(call: Call) -> Value:
    call.dim("dim", len(call.shape()))
    return call.made(call.shape(), call.tensor().dtype, *call.inputs(), is_cast=False)


@operation("input, dim, index, source, alpha=1", "Tensor.index_add_", "Tensor.index_copy_")
@operation("input, dim, index, value", "Tensor.index_fill_")
def _index_add_into(call: Call) -> Value:
    return write_into(call.machine, call.tensor(), *call.inputs()[1:])


# --- windows and diagonals


@operation("input, dimension, size, step", "Tensor.unfold")
def _unfold(call: Call) -> Value:
    shape, strides = call.shape(), strides_of(call.tensor())
    at = call.dim("dimension", len(shape))
    size, step = call.integer("size"), call.integer("step")
    if not shape or size < 0 or step <= 0:
        raise Untold
    total = shape[at].constant
    if total is not None and size > total:
        call.refuse(
            "RuntimeError",
            f"maximum size for tensor at dimension {at} is {total} but size is {size}",
        )
    count = (shape[at] - size) // step + 1
    steps = None
    if strides is not None:
        steps = (*strides[:at], strides[at] * step, *strides[at + 1 :], strides[at])
    return call.view((*shape[:at], count, *shape[at + 1 :], Size.of(size)), steps)


@operation("input, offset=0, dim1=0, dim2=1", *homes("diagonal"))
def _diagonal(call: Call) -> Value:
    return _diagonal_of(
        call, call.dim("dim1", len(call.shape())), call.dim("dim2", len(call.shape()))
    )


def _diagonal_of(call: Call, a: int, b: int) -> Value:
    shape, strides = call.shape(), strides_of(call.tensor())
    if a == b:
        call.refuse(
            "RuntimeError",
            f"diagonal dimensions cannot be identical {call.constant('dim1')}, {call.constant('dim2')}",
        )
    offset, rows, columns = call.integer("offset"), shape[a].constant, shape[b].constant
    rest = [i for i in range(len(shape)) if i not in (a, b)]
    if rows is None or columns is None:
        if shape[a] != shape[b] or offset:
            raise Untold
        count = shape[a]
    else:
        count = Size.of(
            max(min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns), 0)
        )
    steps = None
    if strides is not None:
        steps = (*(strides[i] for i in rest), strides[a] + strides[b])
    return call.view((*(shape[i] for i in rest), count), steps)


@operation("input, diagonal=0", *homes("diag"))
def _diag(call: Call) -> Value:
    shape, offset = call.shape(), call.integer("diagonal")
    if len(shape) == 1:
        side = shape[0] + abs(offset)
        return call.made((side, side), call.tensor().dtype, call.tensor(), is_cast=False)
    if len(shape) == 2 and not offset:
        rows, columns = shape[0].constant, shape[1].constant
        if rows is not None and columns is not None:
            return call.made((Size.of(min(rows, columns)),), call.tensor().dtype, call.tensor(), is_contiguous=None, is_cast=False)  # fmt: skip
    raise Untold
