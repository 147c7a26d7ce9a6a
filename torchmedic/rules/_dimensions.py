"""Dimensions of inputs: what each one means, what is missing or in the wrong place, and the call that puts it right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isqrt
from typing import NamedTuple

from torchmedic.model import Evidence, Table, Text
from torchmedic.observed import Failure
from torchmedic.rules._sizes import split

LETTERS = {1: ("B", "C", "L"), 2: ("B", "C", "H", "W"), 3: ("B", "C", "D", "H", "W")}
_IMAGE_CHANNELS = (1, 3, 4)  # grey, RGB, RGBA


class Plan(NamedTuple):
    """What to call on the batch, on one sample, and the sizes that come out. `kind` names the mistake."""

    kind: str
    batch: str
    sample: str
    wanted: tuple[int, ...]


def is_input(failure: Failure, facts: Mapping[str, object]) -> bool:
    """True if channels that don't fit come from the data; False if two layers disagree.

    With the size table the first layer tells. Without it, only first layers have 1, 3 or 4 input channels, and
    only images have their channels last.
    """
    layer = failure.failing
    if layer is not None and layer.input is not None and "_ConvNd" in layer.bases:
        return split(failure) == "input"
    shape, given, expected = (facts.get(k) for k in ("shape", "given", "expected"))
    if not (isinstance(shape, list) and isinstance(given, int) and isinstance(expected, int)):
        return False
    if all(size == 1 for size in shape[2:]):
        return True  # noise that goes into a generator
    return given in _IMAGE_CHANNELS or expected in _IMAGE_CHANNELS or shape[-1] == expected


def plan_convolution(n: int, shape: Sequence[int], channels: int) -> Plan | None:
    """How an input of `shape` fits an n-dimensional convolution with so many channels; None: only the channels differ.

    `shape` is the tensor's own: without the 1 that PyTorch adds to an unbatched input.
    """
    rank = len(shape)
    if rank == n + 2:
        return _batched(n, shape, channels)
    if rank == n + 1:
        is_last = shape[-1] == channels and shape[0] != channels
        if is_last and n > 1 and channels in _IMAGE_CHANNELS:
            order = (n, *range(n))
            moved = tuple(shape[i] for i in order)
            move = f".permute({', '.join(map(str, order))})"
            return Plan("channel_last", f"{move}.unsqueeze(0)", move, (1, *moved))
        if channels == 1:
            wanted = (shape[0], 1, *shape[1:])
            return Plan("channel_missing", ".unsqueeze(1)", ".unsqueeze(0)", wanted)
        return None
    if rank == n:
        return _without_both(n, shape, channels)
    if rank == n + 3:
        return _too_many(shape, channels)
    return None


def _batched(n: int, shape: Sequence[int], channels: int) -> Plan | None:
    if shape[1] == channels:
        return None
    if shape[-1] == channels:
        order = (0, n + 1, *range(1, n + 1))
        sample = f".permute({', '.join(str(i - 1) for i in order[1:])})"
        if n == 1:
            sample = ".transpose(0, 1)"
        batch = f".permute({', '.join(map(str, order))})"
        return Plan("channel_last", batch, sample, tuple(shape[i] for i in order))
    if shape[0] == channels and shape[1] not in _IMAGE_CHANNELS:
        return Plan("swapped", ".transpose(0, 1)", "", (shape[1], shape[0], *shape[2:]))
    return None


def _without_both(n: int, shape: Sequence[int], channels: int) -> Plan | None:
    """One sample without its channel, or a batch of images that were flattened."""
    if n == 2 and channels and shape[1] % channels == 0:
        side = isqrt(shape[1] // channels)
        if side * side * channels == shape[1] and side > 1 and shape[0] != shape[1]:
            wanted = (shape[0], channels, side, side)
            sizes = f"{channels}, {side}, {side}"
            return Plan("flat", f".view(-1, {sizes})", f".view({sizes})", wanted)
    if channels == 1:
        return Plan("both_missing", ".unsqueeze(0).unsqueeze(0)", ".unsqueeze(0)", (1, 1, *shape))
    return None


def _too_many(shape: Sequence[int], channels: int) -> Plan | None:
    for dim in (1, *range(2, len(shape)), 0):
        rest = (*shape[:dim], *shape[dim + 1 :])
        if shape[dim] == 1 and rest[1] == channels:
            sample = f".squeeze({dim - 1})" if dim else ""
            return Plan("too_many", f".squeeze({dim})", sample, rest)
    if len(shape) == 4 and shape[1] == channels:
        wanted = (shape[0], channels, shape[2] * shape[3])
        return Plan("too_many", ".flatten(start_dim=2)", ".flatten(start_dim=1)", wanted)
    if shape[2] == channels:
        merged = (shape[0] * shape[1], *shape[2:])
        return Plan("too_many", ".flatten(0, 1)", "", merged)
    return None


def plan_recurrent(shape: Sequence[int], size: int) -> Plan | None:
    """How an input of `shape` fits an RNN, LSTM or GRU whose steps have `size` features."""
    if len(shape) == 3 and shape[1] == size:
        wanted = (shape[0], shape[2], size)
        return Plan("features", ".permute(0, 2, 1)", ".transpose(0, 1)", wanted)
    if len(shape) == 3 and shape[0] == size:
        return Plan("features", ".permute(1, 2, 0)", "", (shape[1], shape[2], size))
    if len(shape) == 2 and size == 1:
        return Plan("features", ".unsqueeze(-1)", ".unsqueeze(-1)", (*shape, 1))
    if len(shape) == 2 and shape[0] == size:
        return Plan("features", ".transpose(0, 1)", "", (shape[1], size))
    if len(shape) == 2 and size and shape[1] % size == 0 and shape[1] != size:
        steps = shape[1] // size
        text = f".view(-1, {steps}, {size})"
        return Plan("features", text, f".view({steps}, {size})", (shape[0], steps, size))
    if len(shape) == 2 and shape[1] == size:
        return Plan("features", ".unsqueeze(0)", "", (1, *shape))
    if len(shape) == 4:
        for dim in (1, 2, 0):
            rest = (*shape[:dim], *shape[dim + 1 :])
            if shape[dim] == 1 and rest[-1] == size:
                return Plan("too_many", f".squeeze({dim})", f".squeeze({dim - 1})", rest)
        if shape[2] * shape[3] == size:
            return Plan("too_many", ".flatten(2)", ".flatten(1)", (*shape[:2], size))
    return None


def read_layout(shape: Sequence[int], plan: Plan, n: int) -> Evidence:
    """The given sizes and the wanted ones under the letters of the dimensions."""
    letters = LETTERS[n]
    given = ["", *_aligned(shape, plan, letters)]
    extra = len(given) - 1 - len(letters)
    columns = [Text("", ""), *(Text(x, x) for x in letters), *[Text("+", "+")] * max(0, extra)]
    wanted = ["", *map(str, plan.wanted)] + [""] * max(0, extra)
    given[0], wanted[0] = "x.shape", f"x{plan.batch}"
    wanted += [""] * (len(columns) - len(wanted))
    text = Text(
        en="how the layer reads the sizes, and where they belong",
        ko="층이 크기를 읽는 방식과 각 크기가 있어야 할 자리",
    )
    rows = (tuple(given), tuple(wanted[: len(columns)]))
    return Evidence(text, table=Table(tuple(columns), rows, 1))


def _aligned(shape: Sequence[int], plan: Plan, letters: Sequence[str]) -> list[str]:
    """Sizes as the layer reads them: missing dimensions as a dash, where they would stand."""
    sizes = [str(size) for size in shape]
    while len(sizes) < len(letters):
        at = 1 if plan.kind == "channel_missing" and len(sizes) == len(letters) - 1 else 0
        sizes.insert(at, "—")
    return sizes
