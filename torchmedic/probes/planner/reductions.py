"""What CUDA's reductions (`sum`, `mean`) keep in global memory while blocks of threads share one output.

A sum over the rows of a tall matrix, which the gradient of every bias is, takes a buffer that can exceed the matrix.
The launch configuration is that of aten/src/ATen/native/cuda/Reduce.cuh (`setReduceConfig`), worked out in the same
steps; sizes agreed to the byte with those measured on an H200 (PyTorch 2.11).
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from torchmedic.observed.cuda import multiprocessors
from torchmedic.probes.planner.sizes import divided_up

MOST_THREADS = 512  # max_reduce_threads
WARP = 32
VECTOR = 4
FEWEST_VALUES, MOST_VALUES = 16, 256  # of a thread
SEMAPHORE = 4


class _Dim(NamedTuple):
    size: int
    stride: int  # in elements
    is_reduced: bool


class Buffers(NamedTuple):
    """Bytes: partial results, and one counter for each column of blocks. Both 0 where a block does its outputs alone."""

    partial: int = 0
    semaphores: int = 0


def buffers(
    sizes: tuple[int, ...],
    strides: tuple[int, ...],
    reduced: frozenset[int],
    accumulator: int,
    capability: tuple[int, int],
) -> Buffers:
    """Of one reduction. `strides`: of the input, in elements; `reduced`: its dimensions that go; `accumulator`: bytes of
    one partial result (4 for sums of float32, float16 and bfloat16)."""
    dims = _merged(sizes, strides, reduced)
    outputs = prod(dim.size for dim in dims if not dim.is_reduced)
    inputs = prod(dim.size for dim in dims if dim.is_reduced)
    if not dims or not outputs or inputs <= 1:
        return Buffers()
    inner = [dim for dim in dims if dim.is_reduced]
    outer = [dim for dim in dims if not dim.is_reduced]
    is_along_rows = not outer or inner[0].stride < outer[0].stride
    across, down = (inputs, outputs) if is_along_rows else (outputs, inputs)
    stride = inner[0].stride if is_along_rows else outer[0].stride
    vector = 1
    if stride == 1:
        if is_along_rows and across > 128 and len(dims) == 1:
            across //= VECTOR
        elif not is_along_rows:
            vector = _vector(outer, dims)
            across //= vector
    width, height = _block(across, down, MOST_THREADS // vector)
    threads = width * height
    step_in = width if is_along_rows else 1
    step_out = 1 if is_along_rows else width
    values = divided_up(inputs, step_in)
    if values < height * FEWEST_VALUES and values < MOST_VALUES:
        return Buffers()
    step_in *= height
    values = divided_up(inputs, step_in)
    count, each = multiprocessors(capability)
    target = count * (each // threads)
    grid = divided_up(outputs // vector, step_out)
    if values < MOST_VALUES or grid > target:
        return Buffers()
    blocks = max(
        min(divided_up(target, grid), divided_up(values, FEWEST_VALUES)),
        divided_up(values, MOST_VALUES),
    )
    if blocks <= 1:
        return Buffers()
    size = accumulator * outputs * blocks
    if not is_along_rows:
        size *= width * vector
    return Buffers(size, SEMAPHORE * grid)


def _merged(
    sizes: tuple[int, ...], strides: tuple[int, ...], reduced: frozenset[int]
) -> list[_Dim]:
    """Reduced dimensions first, the fastest of each kind first, neighbours in memory as one."""
    dims = [
        _Dim(size, stride, at in reduced)
        for at, (size, stride) in enumerate(zip(sizes, strides, strict=True))
        if size != 1
    ]
    found: list[_Dim] = []
    for dim in sorted(dims, key=lambda each: (not each.is_reduced, each.stride)):
        last = found[-1] if found else None
        if (
            last is not None
            and last.is_reduced == dim.is_reduced
            and last.size * last.stride == dim.stride
        ):
            found[-1] = last._replace(size=last.size * dim.size)
        else:
            found.append(dim)
    return found


def _vector(outer: list[_Dim], dims: list[_Dim]) -> int:
    """Outputs that a thread reads at once: every size and stride must be a multiple of it."""
    found = VECTOR
    for number in (outer[0].size, *(dim.stride for dim in dims if dim is not outer[0])):
        while number % found:
            found //= 2
    return found


def _block(across: int, down: int, most: int) -> tuple[int, int]:
    across, down = (min(1 << (max(n, 1).bit_length() - 1), most) for n in (across, down))
    width = min(across, WARP)
    height = min(down, most // width)
    return min(across, most // height), height
