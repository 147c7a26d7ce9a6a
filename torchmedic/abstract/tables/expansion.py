"""Tensors made larger by repetition: expand, repeat, tile.

Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.expand.html
"""

from __future__ import annotations

from torchmedic.abstract.expressions import size_of
from torchmedic.abstract.sizes import Size, product
from torchmedic.abstract.tables.dtypes import scalar_type
from torchmedic.abstract.tables.operation import (
    Call,
    Shape,
    Untold,
    operation,
    plain_number,
    text,
)
from torchmedic.abstract.tables.strides import strides_of
from torchmedic.abstract.values import Value

ONE = Size.of(1)


@operation("input, *size", "Tensor.expand")
def _expand(call: Call) -> Value:
    return expanded(call, call.sizes("size"))


@operation("input, other", "Tensor.expand_as")
def _expand_as(call: Call) -> Value:
    return expanded(call, list(call.shape("other")))


@operation("input, size", "torch.broadcast_to", "Tensor.broadcast_to")
def _broadcast_to(call: Call) -> Value:
    return expanded(call, call.sizes("size"))


def expanded(call: Call, wanted: list[Size]) -> Value:
    shape = call.shape()
    more = len(wanted) - len(shape)
    if more < 0:
        name = scalar_type(call.tensor().dtype)
        call.refuse(
            "RuntimeError",
            f"expand(torch.{name}Tensor{{{text(shape)}}}, size={text(tuple(wanted))}): the number of sizes provided "
            f"({len(wanted)}) must be greater or equal to the number of dimensions in the tensor ({len(shape)})",
        )
    steps = strides_of(call.tensor())
    sizes, strides = [], []
    for index in reversed(range(len(wanted))):
        size = wanted[index]
        old = shape[index - more] if index >= more else ONE
        step = steps[index - more] if steps is not None and index >= more else Size.of(0)
        if size.constant == -1:
            if index < more:
                if index or more > 1:
                    raise Untold
                call.refuse(
                    "RuntimeError",
                    f"The expanded size of the tensor (-1) isn't allowed in a leading, non-existing dimension {index}",
                )
            size = old
        elif old.constant not in (1, None) and size.is_different(old):
            call.refuse(
                "RuntimeError",
                f"The expanded size of the tensor ({plain_number(size)}) must match the existing size "
                f"({plain_number(old)}) at non-singleton dimension {index}.  Target sizes: {text(tuple(wanted))}.  "
                f"Tensor sizes: {text(shape)}",
            )
        sizes.append(size)
        strides.append(step if size == old and index >= more else Size.of(0))
    sizes.reverse()
    strides.reverse()
    return call.view(tuple(sizes), tuple(strides) if steps is not None else None)


@operation("input, *sizes", "Tensor.repeat")
def _repeat(call: Call) -> Value:
    shape, counts = call.shape(), call.sizes("sizes")
    if len(counts) < len(shape):
        call.refuse(
            "RuntimeError",
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor",
        )
    return _tiled(call, shape, counts)


@operation("input, *dims", "Tensor.tile", "torch.tile")
def _tile(call: Call) -> Value:
    shape, counts = call.shape(), call.sizes("dims")
    return _tiled(call, shape, [ONE] * (len(shape) - len(counts)) + counts)


def _tiled(call: Call, shape: Shape, counts: list[Size]) -> Value:
    old = [ONE] * (len(counts) - len(shape)) + list(shape)
    sizes = tuple(a * b for a, b in zip(old, counts, strict=True))
    return call.made(sizes, call.tensor().dtype, call.tensor(), is_cast=False)


@operation("input, repeats, dim=None, output_size=None", "Tensor.repeat_interleave", "torch.repeat_interleave")  # fmt: skip
def _repeat_interleave(call: Call) -> Value:
    tensor, count = call.tensor(), size_of(call.value("repeats"))
    if count is None:
        raise Untold
    shape = call.shape()
    if not call.has("dim"):
        sizes: Shape = (product(list(shape)) * count,)
    else:
        at = call.dim("dim", len(shape))
        if not shape:
            raise Untold
        sizes = (*shape[:at], shape[at] * count, *shape[at + 1 :])
    return call.made(sizes, tensor.dtype, tensor, is_cast=False)
