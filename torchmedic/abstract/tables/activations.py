"""Softmax and its kin: their results remember them, as far as the values stay the same."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from torchmedic.abstract.values import Const, Object, Tensor, Unknown, Value

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

RAW = ("torch.nn.Linear", *(f"torch.nn.Conv{n}d" for n in (1, 2, 3)))
_numbers = itertools.count(1)


def activated(
    machine: Machine, value: Value | None, name: str, dim: Value | None, layer: Object | None = None
) -> Value:
    """`softmax(value)`: `layer` is the module that does it, if one does.

    The event's number comes back in `activations` of the losses that its result reaches.
    """
    from torchmedic.abstract.tables.events import constant

    tensor = value if isinstance(value, Tensor) else None
    shape = tensor.shape if tensor is not None else None
    number = next(_numbers)
    machine.emit(
        "softmax",
        layer or value,
        function_kind=name,
        number=number,
        dim=constant(dim),
        is_implicit=dim is None or (isinstance(dim, Const) and dim.value is None),
        rank=len(shape) if shape is not None else None,
        made=layer.made[0].at if layer is not None and layer.made else None,
        given_through=tensor.through if tensor is not None else (),
    )
    result = machine.derived(
        value or Unknown(), shape=shape, dtype=tensor.dtype if tensor else "", through=(name,)
    )
    result.activations = frozenset({number})
    return result


def ordered(machine: Machine, tensor: Tensor, dim: object) -> Tensor:
    """The tensor for what only compares its elements, as argmax does: that is no use of an activation's values."""
    if tensor.activations:
        rank = len(tensor.shape) if tensor.shape is not None else None
        machine.emit("argmax", tensor, dim=dim, rank=rank, activations=tensor.activations)
    copy = Tensor(**{k: v for k, v in vars(tensor).items() if k not in ("id", "known_length")})
    copy.activations = frozenset()
    return copy


def note_raw(module: Object, result: Value) -> None:
    """Scores of a linear layer or a convolution, on which no activation was."""
    if isinstance(result, Tensor) and module.type in RAW:
        result.through = ("linear",)
