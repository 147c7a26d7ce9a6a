"""What gives the same elements in another shape: view, reshape, permute, expand, squeeze and the like.

Source: https://docs.pytorch.org/docs/stable/tensor_view.html
"""

from __future__ import annotations

from torchmedic.abstract.expressions import size_of
from torchmedic.abstract.sizes import Size, product
from torchmedic.abstract.tables.dtypes import BITS, dtype_named, scalar_type
from torchmedic.abstract.tables.operation import (
    Call,
    Shape,
    Untold,
    operation,
    plain_number,
    text,
)
from torchmedic.abstract.tables.reordering import noted
from torchmedic.abstract.tables.strides import can_view, strides_of, viewed_strides
from torchmedic.abstract.values import Const, Sequence, Tensor, Value

ONE = Size.of(1)


def new_shape(call: Call, tensor: Tensor, values: list[Value]) -> Shape | None:
    """The shape that `view` and `reshape` give, with -1 worked out."""
    if len(values) == 1 and isinstance(values[0], Sequence):
        if not values[0].is_exact:
            return None
        values = list(values[0].items)
    wanted = [size_of(v) for v in values]
    free = [i for i, s in enumerate(wanted) if s is not None and s.constant == -1]
    if len(free) > 1 and None not in wanted:
        call.refuse("RuntimeError", "only one dimension can be inferred")
    if None in wanted or tensor.shape is None:
        return tuple(
            Size.fresh("n") if s is None or (s.constant is not None and s.constant < 0) else s
            for s in wanted
        )
    sizes = [s for s in wanted if s is not None]
    for index, size in enumerate(sizes):
        if size.constant is not None and size.constant < -1:
            call.refuse(
                "RuntimeError",
                f"invalid shape dimension {size.constant} at index {index} of shape {text(tuple(sizes))}",
            )
    return _filled(call, sizes, product(list(tensor.shape)), free)


def _filled(call: Call, sizes: list[Size], total: Size, free: list[int]) -> Shape:
    known = product([s for s in sizes if s.constant != -1])
    message = f"shape '{text(tuple(sizes))}' is invalid for input of size {plain_number(total)}"
    if not free:
        if known.is_different(total):
            call.refuse("RuntimeError", message)
        return tuple(sizes)
    if known.constant == 0:
        if total.constant == 0:
            call.refuse(
                "RuntimeError",
                f"cannot reshape tensor of 0 elements into shape {text(tuple(sizes))} because the unspecified dimension "
                "size -1 can be any value and is ambiguous",
            )
        if total.constant is None:
            raise Untold
    exact = total.divided_by(known)
    if exact is None and total.constant is not None and known.constant is not None:
        call.refuse("RuntimeError", message)
    sizes[free[0]] = exact if exact is not None else Size.fresh("n")
    return tuple(sizes)


def _values(call: Call, name: str) -> list[Value]:
    return call.many if call.many else [call.value(name)]


@operation("input, *size", "Tensor.view")
def _view(call: Call) -> Value:
    tensor = call.tensor()
    if "dtype" in call.given or (len(call.many) == 1 and dtype_named(call.many[0])):
        return _reinterpreted(call, call.given.get("dtype") or call.many[0])
    return viewed_as(call, _noted(call, new_shape(call, tensor, _values(call, "size"))))


def _noted(call: Call, shape: Shape | None) -> Shape | None:
    noted(call.machine, call.tensor(), Tensor(shape=shape))
    return shape


def viewed_as(call: Call, shape: Shape | None) -> Value:
    """A view; refuses what only a copy could give."""
    tensor = call.tensor()
    strides = strides_of(tensor)
    if shape is None or strides is None or tensor.shape is None:
        result = call.view(shape)
        result.is_contiguous = True if tensor.is_contiguous and strides is not None else None
        return result
    if tensor.is_contiguous is True:
        result = call.view(shape)
        result.is_contiguous = True
        return result
    if can_view(tensor.shape, strides, shape) is False:
        call.refuse(
            "RuntimeError",
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            "contiguous subspaces). Use .reshape(...) instead.",
        )
    return call.view(shape, viewed_strides(tensor.shape, strides, shape))


def _reinterpreted(call: Call, given: Value) -> Value:
    tensor, dtype = call.tensor(), dtype_named(given)
    old, new = BITS.get(tensor.dtype), BITS.get(dtype)
    if tensor.shape is None or old is None or new is None or not tensor.shape:
        raise Untold
    last = tensor.shape[-1] * old
    shape = tensor.shape
    if old != new:
        exact = last.divided_by(Size.of(new))
        if exact is None and last.constant is not None:
            call.refuse(
                "RuntimeError",
                f"self.size(-1) must be divisible by {new // old} to view {scalar_type(tensor.dtype)} as "
                f"{scalar_type(dtype)} (different element sizes), but got {plain_number(shape[-1])}",
            )
        if exact is None:
            raise Untold
        shape = (*shape[:-1], exact)
    result = call.view(shape)
    result.dtype = dtype
    result.graph = None
    return result


@operation("input, *shape", "Tensor.reshape", "torch.reshape")
def _reshape(call: Call) -> Value:
    return reshaped(call, _noted(call, new_shape(call, call.tensor(), _values(call, "shape"))))


def reshaped(call: Call, shape: Shape | None) -> Tensor:
    """A view where one is possible, else a copy, which is contiguous."""
    tensor = call.tensor()
    strides = strides_of(tensor)
    result = call.view(shape)
    if tensor.is_contiguous is True:
        result.is_contiguous = True
    elif shape is not None and strides is not None and tensor.shape is not None:
        can = can_view(tensor.shape, strides, shape)
        if can is True:
            return call.view(shape, viewed_strides(tensor.shape, strides, shape))
        result.is_contiguous = True if can is False else None
    return result


@operation("input, other", "Tensor.view_as")
def _view_as(call: Call) -> Value:
    return viewed_as(call, new_shape(call, call.tensor(), _sizes(call.shape("other"))))


@operation("input, other", "Tensor.reshape_as")
def _reshape_as(call: Call) -> Value:
    return reshaped(call, new_shape(call, call.tensor(), _sizes(call.shape("other"))))


def _sizes(shape: Shape) -> list[Value]:
    from torchmedic.abstract.expressions import from_size

    return [Sequence("tuple", tuple(from_size(s) for s in shape))]


@operation("input, start_dim=0, end_dim=-1", "Tensor.flatten", "torch.flatten")
def _flatten(call: Call) -> Value:
    return flattened(call, call.value("start_dim"), call.value("end_dim"))


@operation("input", "Tensor.ravel", "torch.ravel")
def _ravel(call: Call) -> Value:
    return flattened(call, Const(0), Const(-1))


def flattened(call: Call, first: Value, last: Value) -> Value:
    """The dimensions from `first` to `last` as one."""
    shape = call.shape()
    if not isinstance(first, Const) or not isinstance(last, Const):
        raise Untold
    if type(first.value) is not int or type(last.value) is not int:
        raise Untold
    low, high = (call.dim_in(at, len(shape)) for at in (first.value, last.value))
    if low > high:
        call.refuse(
            "RuntimeError", "flatten() has invalid args: start_dim cannot come after end_dim"
        )
    if not shape:
        return reshaped(call, (ONE,))
    return reshaped(call, (*shape[:low], product(list(shape[low : high + 1])), *shape[high + 1 :]))


@operation("input, dim, sizes", "Tensor.unflatten", "torch.unflatten")
def _unflatten(call: Call) -> Value:
    return unflattened(call, call.integer("dim"), call.value("sizes"))


def unflattened(call: Call, at: int, value: Value) -> Value:
    shape = call.shape()
    at = call.dim_in(at, len(shape))
    from torchmedic.abstract.tables.operation import sizes_of

    sizes = sizes_of([value])
    free = [i for i, s in enumerate(sizes) if s.constant == -1]
    known = product([s for s in sizes if s.constant != -1])
    exact = shape[at].divided_by(known)
    is_wrong = (known.is_different(shape[at]) if not free else exact is None) and len(free) < 2
    if is_wrong and known.constant is not None and shape[at].constant is not None:
        call.refuse(
            "RuntimeError",
            f"unflatten: Provided sizes {text(tuple(sizes))} don't multiply up to the size of dim {at} "
            f"({plain_number(shape[at])}) in the input tensor",
        )
    if len(free) == 1:
        sizes[free[0]] = exact if exact is not None else Size.fresh("n")
    elif free:
        raise Untold
    return reshaped(call, (*shape[:at], *sizes, *shape[at + 1 :]))


# --- dimensions of size 1


@operation("input, dim", "Tensor.unsqueeze", "torch.unsqueeze")
def _unsqueeze(call: Call) -> Value:
    shape = call.shape()
    at = call.dim("dim", len(shape), 1)
    strides = strides_of(call.tensor())
    if strides is not None:
        step = shape[at] * strides[at] if at < len(shape) else ONE
        strides = (*strides[:at], step, *strides[at:])
    return call.view((*shape[:at], ONE, *shape[at:]), strides)


@operation("input, dim=None", "Tensor.squeeze", "torch.squeeze")
def _squeeze(call: Call) -> Value:
    shape = call.shape()
    places = call.dims("dim", len(shape)) if call.has("dim") else list(range(len(shape)))
    if not shape:
        return call.view(shape, ())
    if any(shape[p].constant is None for p in places) and (
        call.has("dim") or not any(shape[p].constant == 1 for p in places)
    ):
        raise Untold
        # An unknown size counts as more than one: a batch of one is the exception.
    kept = [i for i, s in enumerate(shape) if i not in places or s.constant != 1]
    strides = strides_of(call.tensor())
    return call.view(
        tuple(shape[i] for i in kept),
        tuple(strides[i] for i in kept) if strides is not None else None,
    )


# --- the order of dimensions


def ordered(call: Call, order: list[int]) -> Tensor:
    """The dimensions in this order."""
    shape, strides = call.shape(), strides_of(call.tensor())
    return call.view(
        tuple(shape[i] for i in order),
        tuple(strides[i] for i in order) if strides is not None else None,
    )


@operation("input, *dims", "Tensor.permute", "torch.permute")
def _permute(call: Call) -> Value:
    rank = len(call.shape())
    order = call.integers("dims")
    if len(order) != rank:
        call.refuse(
            "RuntimeError",
            "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired "
            f"ordering of dimensions i.e. input.dim() = {rank} is not equal to len(dims) = {len(order)}",
        )
    places = [call.dim_in(at, rank) for at in order]
    if len(set(places)) < len(places):
        call.refuse("RuntimeError", "permute(): duplicate dims are not allowed.")
    return ordered(call, places)


@operation("input, dim0, dim1", *(f"{home}.{name}" for home in ("Tensor", "torch") for name in (
    "transpose", "swapaxes", "swapdims")))  # fmt: skip
def _transpose(call: Call) -> Value:
    rank = len(call.shape())
    a, b = call.dim("dim0", rank), call.dim("dim1", rank)
    order = list(range(rank))
    if rank:
        order[a], order[b] = b, a
    return ordered(call, order)


@operation("input", "Tensor.t", "torch.t")
def _t(call: Call) -> Value:
    rank = len(call.shape())
    if rank > 2:
        call.refuse(
            "RuntimeError", f"t() expects a tensor with <= 2 dimensions, but self is {rank}D"
        )
    return ordered(call, list(reversed(range(rank))))


@operation("input, source, destination", *(f"{home}.{name}" for home in ("Tensor", "torch") for name in (
    "movedim", "moveaxis")))  # fmt: skip
def _movedim(call: Call) -> Value:
    rank = len(call.shape())
    source, goal = call.dims("source", rank), call.dims("destination", rank)
    if len(source) != len(goal) or len(set(source)) < len(source) or len(set(goal)) < len(goal):
        raise Untold
    rest = [i for i in range(rank) if i not in source]
    taken = dict(zip(goal, source, strict=True))
    return ordered(call, [taken[i] if i in taken else rest.pop(0) for i in range(rank)])
