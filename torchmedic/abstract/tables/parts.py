"""Parts of tensors, and tensors put together: chunk, split, cat, stack.

Source: https://docs.pytorch.org/docs/stable/torch.html#indexing-slicing-joining-mutating-ops
"""

from __future__ import annotations

import itertools

from torchmedic.abstract.expressions import size_of
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.tables.devices import check_all
from torchmedic.abstract.tables.dtypes import of_operands
from torchmedic.abstract.tables.operation import (
    Call,
    Shape,
    Untold,
    operation,
    plain_number,
    sizes_of,
    text,
)
from torchmedic.abstract.tables.strides import strides_of
from torchmedic.abstract.values import Sequence, Tensor, Value

MOST_PARTS = 64


def part(call: Call, at: int, size: Size) -> Tensor:
    """A piece of this size along a dimension."""
    shape, strides = call.shape(), strides_of(call.tensor())
    return call.view((*shape[:at], size, *shape[at + 1 :]), strides)


def without(call: Call, at: int) -> Tensor:
    """One slice along a dimension, which goes."""
    shape, strides = call.shape(), strides_of(call.tensor())
    steps = strides[:at] + strides[at + 1 :] if strides is not None else None
    return call.view(shape[:at] + shape[at + 1 :], steps)


def _parts(call: Call, at: int, sizes: list[int]) -> Value:
    if len(sizes) > MOST_PARTS:
        raise Untold
    return Sequence("tuple", tuple(part(call, at, Size.of(s)) for s in sizes))


@operation("input, chunks, dim=0", "Tensor.chunk", "torch.chunk", is_many=True)
def _chunk(call: Call) -> Value:
    shape = call.shape()
    count = call.integer("chunks")
    if not shape:
        call.refuse("RuntimeError", "chunk expects at least a 1-dimensional tensor")
    at = call.dim("dim", len(shape))
    if count <= 0:
        call.refuse("RuntimeError", f"chunk expects `chunks` to be greater than 0, got: {count}")
    total = shape[at].constant
    if total is None:
        exact = shape[at].divided_by(Size.of(count))
        if exact is None or count > MOST_PARTS:
            raise Untold
        return Sequence("tuple", tuple(part(call, at, exact) for _ in range(count)))
    step = max(-(-total // count), 1)
    return _parts(call, at, [min(step, total - i) for i in range(0, total, step)] or [0] * count)


@operation("tensor, split_size_or_sections, dim=0", "torch.split", is_many=True)
@operation("tensor, split_size, dim=0", "Tensor.split", is_many=True)
@operation("tensor, split_sizes, dim=0", "torch.split_with_sizes", is_many=True)
def _split(call: Call) -> Value:
    name = call.signature.names[1]
    call.given.setdefault("input", call.value("tensor"))
    shape = call.shape()
    if not shape:
        raise Untold
    at = call.dim("dim", len(shape))
    given = call.value(name)
    if isinstance(given, Sequence):
        sizes = sizes_of([given])
        total = Size.of(0)
        for size in sizes:
            total = total + size
        if total.is_different(shape[at]):
            call.refuse(
                "RuntimeError",
                f"split_with_sizes expects split_sizes to sum exactly to {plain_number(shape[at])} (input tensor's size at "
                f"dimension {at}), but got split_sizes={text(tuple(sizes))}",
            )
        return Sequence("tuple", tuple(part(call, at, s) for s in sizes))
    step, whole = call.size(name), shape[at]
    exact = whole.divided_by(step)
    if exact is not None and exact.constant is not None and 0 < exact.constant <= MOST_PARTS:
        return Sequence("tuple", tuple(part(call, at, step) for _ in range(exact.constant)))
    if step.constant is None or whole.constant is None or step.constant <= 0:
        raise Untold
    starts = range(0, whole.constant, step.constant)
    return _parts(call, at, [min(step.constant, whole.constant - i) for i in starts] or [0])


@operation("input, indices_or_sections, dim=0", "Tensor.tensor_split", "torch.tensor_split", is_many=True)  # fmt: skip
def _tensor_split(call: Call) -> Value:
    shape = call.shape()
    if not shape:
        raise Untold
    at = call.dim("dim", len(shape))
    total = shape[at].constant
    if total is None:
        raise Untold
    if isinstance(call.value("indices_or_sections"), Sequence):
        edges = [
            min(max(e + total if e < 0 else e, 0), total)
            for e in call.integers("indices_or_sections")
        ]
        edges = [0, *edges, total]
        return _parts(call, at, [max(b - a, 0) for a, b in itertools.pairwise(edges)])
    count = call.integer("indices_or_sections")
    if count <= 0:
        raise Untold
    return _parts(call, at, [total // count + (i < total % count) for i in range(count)])


@operation("input, dim=0", "Tensor.unbind", "torch.unbind", is_many=True)
def _unbind(call: Call) -> Value:
    shape = call.shape()
    if not shape:
        raise Untold
    at = call.dim("dim", len(shape))
    count = shape[at].constant
    if count is None or count > MOST_PARTS:
        return Sequence("tuple", rest=without(call, at), length=shape[at])
    return Sequence("tuple", tuple(without(call, at) for _ in range(count)))


@operation("input, dim, start, length", "Tensor.narrow", "torch.narrow")
def _narrow(call: Call) -> Value:
    shape = call.shape()
    if not shape:
        call.refuse("RuntimeError", "narrow() cannot be applied to a 0-dim tensor.")
    at = call.dim("dim", len(shape))
    start, length = call.size("start"), call.size("length")
    numbers = start.constant, length.constant, shape[at].constant
    if None not in numbers and numbers[0] >= 0 and numbers[0] + numbers[1] > numbers[2]:  # type: ignore[operator]
        if numbers[0] <= numbers[2]:  # type: ignore[operator]
            call.refuse(
                "RuntimeError",
                f"start ({numbers[0]}) + length ({numbers[1]}) exceeds dimension size ({numbers[2]}).",
            )
        raise Untold
    return part(call, at, length)


@operation("input, dim, index", "Tensor.select", "torch.select")
def _select(call: Call) -> Value:
    shape = call.shape()
    if not shape:
        call.refuse("IndexError", "select() cannot be applied to a 0-dim tensor.")
    at = call.dim("dim", len(shape))
    index, size = size_of(call.value("index")), shape[at].constant
    if (
        index is not None
        and index.constant is not None
        and size is not None
        and not -size <= index.constant < size
    ):
        call.refuse(
            "IndexError",
            f"select(): index {index.constant} out of range for tensor of size {text(shape)} at dimension {at}",
        )
    return without(call, at)


# --- put together


def _tensors(call: Call) -> list[Tensor]:
    value = call.value("tensors")
    if not isinstance(value, Sequence) or not value.is_exact:
        raise Untold
    found = [v for v in value.items if isinstance(v, Tensor) and v.library == "torch"]
    if len(found) != len(value.items):
        raise Untold
    check_all(call, found, f"wrapper_CUDA_{call.name.removeprefix('torch.')}")
    return found


def _joined(call: Call, tensors: list[Tensor], shapes: list[Shape], at: int) -> Value:
    """Along a dimension; all others have to be equal."""
    first = shapes[0]
    total = first[at]
    sizes = list(first)
    for number, shape in enumerate(shapes[1:], 1):
        if len(shape) != len(first):
            call.refuse(
                "RuntimeError",
                f"Tensors must have same number of dimensions: got {len(first)} and {len(shape)}",
            )
        for index, (a, b) in enumerate(zip(first, shape, strict=True)):
            if index != at and a.is_different(b):
                call.refuse(
                    "RuntimeError",
                    f"Sizes of tensors must match except in dimension {at}. Expected size {plain_number(a)} but got size "
                    f"{plain_number(b)} for tensor number {number} in the list.",
                )
            if sizes[index].constant is None and b.constant is not None:
                sizes[index] = b
        total = total + shape[at]
    sizes[at] = total
    return call.made(tuple(sizes), of_operands(call.machine, *tensors), *tensors, is_cast=False)


def _shapes(tensors: list[Tensor]) -> list[Shape]:
    shapes = [t.shape for t in tensors if t.shape is not None]
    if len(shapes) != len(tensors):
        raise Untold
    return shapes


def _is_legacy_empty(shape: Shape) -> bool:
    return len(shape) == 1 and shape[0].constant in (0, None)


@operation("tensors, dim=0", "torch.cat", "torch.concat", "torch.concatenate")
def _cat(call: Call) -> Value:
    held = call.value("tensors")
    if isinstance(held, Sequence) and not held.is_exact and not held.items:
        return _cat_many(call, held)
    tensors = _tensors(call)
    if not tensors:
        call.refuse("ValueError", "torch.cat(): expected a non-empty list of Tensors")
    shapes = _shapes(tensors)
    # `torch.tensor([])` may stand before anything.
    if len({len(s) for s in shapes}) > 1 and any(_is_legacy_empty(s) for s in shapes):
        raise Untold
    if any(not s for s in shapes):
        raise Untold
    at = call.dim("dim", len(shapes[0]))
    return _joined(call, tensors, shapes, at)


def _cat_many(call: Call, held: Sequence) -> Value:
    """Of a list of unknown length, as a loop over batches fills it."""
    part = held.rest
    if not isinstance(part, Tensor) or not part.shape or part.library != "torch" or held.escaped:
        raise Untold
    shape = list(part.shape)
    shape[call.dim("dim", len(shape))] = Size.fresh("joined")
    return call.made(tuple(shape), part.dtype, part, is_contiguous=None, is_cast=False)


@operation("tensors, dim=0", "torch.stack")
def _stack(call: Call) -> Value:
    value = call.value("tensors")
    if isinstance(value, Sequence) and not value.is_exact:
        return _stacked_many(call, value)
    tensors = _tensors(call)
    if not tensors:
        call.refuse("RuntimeError", "stack expects a non-empty TensorList")
    shapes = _shapes(tensors)
    at = call.dim("dim", len(shapes[0]), 1)
    sizes = list(shapes[0])
    for number, shape in enumerate(shapes[1:], 1):
        differs = len(shape) != len(sizes) or any(
            a.is_different(b) for a, b in zip(shapes[0], shape, strict=True)
        )
        if differs:
            call.refuse(
                "RuntimeError",
                f"stack expects each tensor to be equal size, but got {text(shapes[0])} at entry 0 and {text(shape)} at "
                f"entry {number}",
            )
        sizes = [b if a.constant is None else a for a, b in zip(sizes, shape, strict=True)]
    sizes.insert(at, Size.of(len(tensors)))
    return call.made(tuple(sizes), of_operands(call.machine, *tensors), *tensors, is_cast=False)


def _stacked_many(call: Call, value: Sequence) -> Value:
    one = value.rest
    if not isinstance(one, Tensor) or one.shape is None or one.library != "torch":
        raise Untold
    sizes = list(one.shape)
    at = call.dim("dim", len(sizes), 1)
    sizes.insert(at, value.size if value.size is not None else Size.fresh("n"))
    return call.made(tuple(sizes), one.dtype, one, is_cast=False)


def _grown(name: str, rank: int, at: int) -> None:
    """`hstack` and the like: what has fewer dimensions gets some of size 1."""

    @operation("tensors", f"torch.{name}")
    def work(call: Call) -> Value:
        tensors = _tensors(call)
        if not tensors:
            raise Untold
        shapes = []
        for shape in _shapes(tensors):
            if len(shape) < rank:
                shape = {
                    (1, 0): (Size.of(1),), (2, 0): (Size.of(1), Size.of(1)), (2, 1): (Size.of(1), *shape),
                    (3, 0): (Size.of(1),) * 3, (3, 1): (Size.of(1), *shape, Size.of(1)),
                    (3, 2): (*shape, Size.of(1)),
                }[rank, len(shape)]  # fmt: skip
            shapes.append(shape)
        dim = 0 if name == "hstack" and len(shapes[0]) == 1 else at
        return _joined(call, tensors, shapes, dim)


_grown("hstack", 1, 1)
_grown("vstack", 2, 0)
_grown("row_stack", 2, 0)
_grown("dstack", 3, 2)


@operation("tensors", "torch.column_stack")
def _column_stack(call: Call) -> Value:
    tensors = _tensors(call)
    if not tensors:
        raise Untold
    one = Size.of(1)
    shapes = [(*s, *[one] * (2 - len(s))) if len(s) < 2 else s for s in _shapes(tensors)]
    return _joined(call, tensors, shapes, 1)


@operation("*tensors, indexing='ij'", "torch.meshgrid", is_many=True)
def _meshgrid(call: Call) -> Value:
    values = call.many
    if len(values) == 1 and isinstance(values[0], Sequence):
        if not values[0].is_exact:
            raise Untold
        values = list(values[0].items)
    tensors = [v for v in values if isinstance(v, Tensor)]
    shapes = _shapes(tensors)
    if len(tensors) != len(values) or any(len(s) > 1 for s in shapes) or not tensors:
        raise Untold
    sizes = [s[0] if s else Size.of(1) for s in shapes]
    if call.constant("indexing") == "xy" and len(sizes) > 1:
        sizes[0], sizes[1] = sizes[1], sizes[0]
    return Sequence(
        "tuple",
        tuple(
            call.made(tuple(sizes), t.dtype, t, is_contiguous=None, is_cast=False) for t in tensors
        ),
    )


__all__ = ["part", "without"]
