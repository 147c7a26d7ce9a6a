"""What cuDNN's convolutions take as workspace: an estimate, from what an H200 (cuDNN 9, PyTorch 2.11) was seen to take.

Tensor cores want channels last. Tensors that aren't get copied: the workspace holds input, output and weights once more,
channels rounded up to 16 bytes, and for the gradient of the weights partial sums in fp32. Which algorithm runs is decided by
a heuristic of cuDNN's that has no description; where it takes another one the estimate is off by as much as it says.
"""

from __future__ import annotations

from math import prod
from typing import Literal, NamedTuple

from torchmedic.observed.cuda import multiprocessors
from torchmedic.probes.planner.sizes import divided_up, rounded_up

FLOAT = 4
TENSOR_CORES = {
    2: (7, 0),
    4: (8, 0),
}  # by bytes of a value: the first capability with them; fp32 as TF32
ALIGNED = 16  # bytes of a pixel's channels
FEW_CHANNELS, SMALL_KERNEL = 4, 3  # images as they come, and the kernels that read them as they are
UNALIGNED = 12  # channels up to which fp32 is computed where it lies
TILE = 128
SPLITS = 32  # of the sum over pixels, where the weights are one matrix
Pass = Literal["forward", "input", "weight"]


class Convolution(NamedTuple):
    """`x`, `y`: sizes of input and output; `weight`: of the weights as one group has them."""

    x: tuple[int, ...]
    weight: tuple[int, ...]
    y: tuple[int, ...]
    stride: int
    groups: int
    element: int
    is_transposed: bool
    is_channels_last: bool


def workspace(what: Pass, one: Convolution, capability: tuple[int, int]) -> int:
    """Bytes. "forward" gives the output, "input" and "weight" the gradients of these."""
    first = TENSOR_CORES.get(one.element)
    is_depthwise = one.groups > 1 and one.weight[1] == 1
    if first is None or capability < first or is_depthwise:
        return 0
    x, y, weight = (_copied(sizes, one.element) for sizes in (one.x, one.y, one.weight))
    copies = 0 if one.is_channels_last else x + y
    kernel = prod(one.weight[2:])
    is_small = _is_small(one)
    is_matrix = kernel == 1 and one.stride == 1
    partial = FLOAT * prod(one.weight)
    if what == "weight":
        if is_matrix and _is_aligned(one):
            return min(SPLITS * partial, max(copies, partial))
        if is_small and one.element == FLOAT:
            return 0
        return copies + weight * (kernel > 1) + partial * _splits(one, capability)
    if (is_matrix and _is_aligned(one)) or is_small:
        return 0
    return copies + weight * (kernel > 1 and not one.is_channels_last)


def _copied(sizes: tuple[int, ...], element: int) -> int:
    """Bytes of a copy with channels last, which is the second dimension here."""
    per = ALIGNED // element
    channels = (
        sizes[1] if sizes[1] < FEW_CHANNELS and element == FLOAT else rounded_up(sizes[1], per)
    )
    return element * sizes[0] * channels * prod(sizes[2:])


def _is_small(one: Convolution) -> bool:
    channels, widest = one.x[1], max(one.weight[2:])
    if channels < FEW_CHANNELS and widest <= SMALL_KERNEL:
        return True
    return one.element == FLOAT and channels <= UNALIGNED and (channels != 3 or len(one.x) < 4)


def _is_aligned(one: Convolution) -> bool:
    return prod(one.x[2:]) % 4 == 0


def _splits(one: Convolution, capability: tuple[int, int]) -> int:
    """Blocks that share a tile of the weights' gradient, so that every multiprocessor has one."""
    rows, columns = one.weight[0], prod(one.weight[1:])
    tiles = divided_up(rows, TILE) * divided_up(columns, TILE // 2 if rows < TILE else TILE)
    found = multiprocessors(capability)[0] // tiles
    return found if found > 1 else 0
