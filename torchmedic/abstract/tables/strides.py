"""Where a tensor's elements lie in memory: what is contiguous, and what can be viewed in another shape.

Source: `computeStride` in https://github.com/pytorch/pytorch/blob/main/aten/src/ATen/TensorUtils.cpp
"""

from __future__ import annotations

from torchmedic.abstract.sizes import Size
from torchmedic.abstract.values import Tensor

Shape = tuple[Size, ...]


def contiguous_strides(shape: Shape) -> Shape:
    strides: list[Size] = []
    step = Size.of(1)
    for size in reversed(shape):
        strides.append(step)
        step = step * (size if size.constant != 0 else Size.of(1))
    return tuple(reversed(strides))


def strides_of(tensor: Tensor) -> Shape | None:
    """None if they aren't known."""
    if tensor.strides is not None:
        return tensor.strides
    if tensor.shape is None or tensor.is_contiguous is not True:
        return None
    return contiguous_strides(tensor.shape)


def is_contiguous(shape: Shape, strides: Shape) -> bool | None:
    """None where it depends on a size that isn't known."""
    answers = {_is_dense(*_numbers(shape, strides, unknown)) for unknown in (None, 1)}
    return answers.pop() if len(answers) == 1 else None


def _numbers(shape: Shape, strides: Shape, unknown: int | None) -> tuple[list[int], list[int]]:
    return [valued(s, unknown) for s in shape], [valued(s, unknown) for s in strides]


def valued(size: Size, unknown: int | None) -> int:
    """The number, with every unknown in it as this number, or as its own prime."""
    if unknown is None:
        return size.stand_in()
    return sum(factor * unknown ** len(product) for product, factor in size.terms)


def _is_dense(shape: list[int], strides: list[int]) -> bool:
    if 0 in shape:
        return True
    step = 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size != 1:
            if stride != step:
                return False
            step *= size
    return True


def is_permutation(shape: Shape, strides: Shape) -> bool:
    """True if it is a contiguous tensor with its dimensions in another order: operations keep that order."""
    if any(s.constant is None for s in (*shape, *strides)):
        return False
    pairs = sorted(
        zip(strides, shape, strict=True), key=lambda p: (p[0].stand_in(), p[1].stand_in())
    )
    order = [p[1].stand_in() for p in reversed(pairs)], [p[0].stand_in() for p in reversed(pairs)]
    return _is_dense(*order)


def can_view(shape: Shape, strides: Shape, wanted: Shape) -> bool | None:
    """Whether `view` works without a copy; None where it depends on a size that isn't known."""
    answers = set()
    for unknown in (None, 1, 2):
        old, steps = _numbers(shape, strides, unknown)
        answers.add(_viewed(old, steps, [valued(s, unknown) for s in wanted]) is not None)
    return answers.pop() if len(answers) == 1 else None


def viewed_strides(shape: Shape, strides: Shape, wanted: Shape) -> Shape | None:
    """The strides of the view; None if there is none, or if a size in it isn't known."""
    if any(s.constant is None for s in (*shape, *strides, *wanted)):
        return None
    found = _viewed(*_numbers(shape, strides, None), [s.stand_in() for s in wanted])
    return tuple(Size.of(s) for s in found) if found is not None else None


def _viewed(shape: list[int], strides: list[int], wanted: list[int]) -> list[int] | None:
    if 0 in shape or not shape:
        return [1] * len(wanted)
    result = [0] * len(wanted)
    at = len(wanted) - 1
    base = strides[-1]
    held = seen = 1
    for index in range(len(shape) - 1, -1, -1):
        held *= shape[index]
        is_edge = index == 0 or (shape[index - 1] != 1 and strides[index - 1] != held * base)
        if not is_edge:
            continue
        while at >= 0 and (seen < held or wanted[at] == 1):
            result[at] = seen * base
            seen *= wanted[at]
            at -= 1
        if seen != held:
            return None
        if index > 0:
            base = strides[index - 1]
            held = seen = 1
    return result if at == -1 else None
